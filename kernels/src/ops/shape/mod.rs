//! Operators that move elements.

pub mod channels;
pub mod constant;
pub mod index;
pub mod permute;
pub mod reshape;
pub mod resize;

/// `$body` where `$element` is a code of so many bytes: 1, 2, or else 4.
macro_rules! by_bytes {
    ($bytes:expr, $element:ident => $body:expr) => {
        match $bytes {
            1 => {
                type $element = i8;
                $body
            }
            2 => {
                type $element = i16;
                $body
            }
            _ => {
                type $element = i32;
                $body
            }
        }
    };
}
use by_bytes;
