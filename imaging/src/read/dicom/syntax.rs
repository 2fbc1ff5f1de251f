//! Transfer syntaxes (PS3.5, section 10; PS3.6, annex A).

/// How a data set and its pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Syntax {
    /// Whether the highest byte comes first.
    pub big: bool,
    /// Whether what follows the meta group is deflated.
    pub deflated: bool,
    /// `None`: samples lie in the data set as they are.
    pub codec: Option<Codec>,
}

/// What encapsulated frames are made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Codec {
    /// Samples as they are, each frame in its fragments.
    Raw,
    Rle,
    /// Baseline, extended, progressive and lossless: the frame says which.
    Jpeg,
    JpegLs,
    Jpeg2000,
}

impl Syntax {
    /// The syntax of an identifier; an error names what it is.
    pub(super) fn of(uid: &str) -> Result<Self, String> {
        let tail = uid.strip_prefix("1.2.840.10008.1.2").unwrap_or("?");
        let plain = Self { big: false, deflated: false, codec: None };
        let coded = |codec| Self { codec: Some(codec), ..plain };
        Ok(match tail {
            "" | ".1" => plain,
            ".1.98" => coded(Codec::Raw),
            ".1.99" if cfg!(feature = "deflate") => Self { deflated: true, ..plain },
            ".2" => Self { big: true, ..plain },
            ".4.50" | ".4.51" | ".4.53" | ".4.55" | ".4.57" | ".4.70" => coded(Codec::Jpeg),
            ".4.80" | ".4.81" => coded(Codec::JpegLs),
            ".4.90" | ".4.91" if cfg!(feature = "jpeg2000") => coded(Codec::Jpeg2000),
            ".5" => coded(Codec::Rle),
            _ => {
                let advice = match tail {
                    ".1.99" => "; this build is without the feature `deflate`",
                    ".4.90" | ".4.91" => "; this build is without the feature `jpeg2000`",
                    _ => "",
                };
                return Err(format!(
                    "found transfer syntax {uid}{}, which is not read{advice}; convert it, with `gdcmconv --raw` or \
                     `dcmconv`/`dcmdjpeg +te` for example",
                    name(tail)
                ));
            }
        })
    }
}

/// The name of a transfer syntax that may not be read, in brackets; `tail` follows `1.2.840.10008.1.2`.
fn name(tail: &str) -> &'static str {
    match tail {
        ".1.99" => " (deflated)",
        ".4.52" | ".4.54" | ".4.56" => " (JPEG, arithmetic coding)",
        ".4.58" | ".4.59" | ".4.60" | ".4.61" | ".4.62" | ".4.63" | ".4.64" | ".4.65" | ".4.66" => {
            " (JPEG, retired process)"
        }
        ".4.90" | ".4.91" => " (JPEG 2000)",
        ".4.92" | ".4.93" => " (JPEG 2000 part 2, several components)",
        ".4.94" | ".4.95" | ".4.204" | ".4.205" => " (JPIP, pixels elsewhere)",
        ".4.100" | ".4.100.1" | ".4.101" | ".4.101.1" => " (MPEG-2 video)",
        ".4.102" | ".4.102.1" | ".4.103" | ".4.103.1" | ".4.104" | ".4.104.1" | ".4.105" | ".4.105.1"
        | ".4.106" | ".4.106.1" => " (MPEG-4 video)",
        ".4.107" | ".4.108" => " (HEVC video)",
        ".4.110" | ".4.111" | ".4.112" => " (JPEG XL)",
        ".4.201" | ".4.202" | ".4.203" => " (high-throughput JPEG 2000)",
        ".7.1" | ".7.2" | ".7.3" => " (SMPTE ST 2110 video)",
        ".8.1" => " (deflated frames)",
        _ => "",
    }
}
