//! Lossless JPEG, Huffman codes (T.81, annex H): each sample is its difference from a prediction.

use super::{Coded, Decoder, Problem, damaged, entropy::Bits};

/// What a frame header says.
struct Header {
    h: usize,
    w: usize,
    bits: u8,
    /// Names of the components.
    ids: Vec<u8>,
}

impl Decoder<'_> {
    /// All scans up to the end marker.
    pub(super) fn lossless(&mut self) -> Result<Coded, Problem> {
        let mut frame: Option<(Header, Vec<u16>)> = None;
        let mut scanned = Vec::new();
        loop {
            match self.marker()? {
                0xd9 => break,
                0xd0..=0xd7 | 0x01 => {}
                0xc3 if frame.is_none() => {
                    let header = self.lossless_header()?;
                    let samples = vec![0; header.h * header.w * header.ids.len()];
                    frame = Some((header, samples));
                }
                0xc3 => return damaged("two frame headers"),
                0xc4 => self.huffman_tables()?,
                0xdd => match self.segment()? {
                    [high, low] => self.restart = usize::from(u16::from_be_bytes([*high, *low])),
                    _ => return damaged("a restart interval of another length than 2"),
                },
                0xda => match &mut frame {
                    Some((header, samples)) => self.lossless_scan(header, samples, &mut scanned)?,
                    None => return damaged("a scan before the frame header"),
                },
                0xe0 => self.jfif |= self.segment()?.starts_with(b"JFIF\0"),
                _ => drop(self.segment()?),
            }
        }
        let Some((header, samples)) = frame else { return damaged("no frame header") };
        match (0..header.ids.len()).find(|i| !scanned.contains(i)) {
            Some(i) => damaged(format!("no scan of component {}", header.ids[i])),
            None => {
                let rgb = super::rgb(&header.ids, self.jfif);
                Ok(Coded { samples, bits: header.bits, extend: false, rgb })
            }
        }
    }

    fn lossless_header(&mut self) -> Result<Header, Problem> {
        let segment = self.segment()?;
        let [bits, h1, h0, w1, w0, n, components @ ..] = segment else {
            return damaged("a frame header of another form");
        };
        if components.len() != 3 * usize::from(*n) || !(2..=16).contains(bits) {
            return damaged("a frame header of another form");
        }
        let [h, w] = [[*h1, *h0], [*w1, *w0]].map(|b| usize::from(u16::from_be_bytes(b)));
        let (components, _) = components.as_chunks::<3>();
        if h == 0 {
            return Err(Problem::Unsupported("its height behind the image (DNL)".into()));
        }
        if components.iter().any(|c| c[1] != components[0][1]) {
            return Err(Problem::Unsupported("lossless coding of components of several sizes".into()));
        }
        self.frame_size([h, w, components.len()])?;
        let ids: Vec<u8> = components.iter().map(|c| c[0]).collect();
        if ids.iter().enumerate().any(|(i, id)| ids[..i].contains(id)) || ids.len() > 4 {
            return damaged("a frame header of another form");
        }
        Ok(Header { h, w, bits: *bits, ids })
    }

    /// One scan: its components by pixel, into `samples` of all components by pixel.
    fn lossless_scan(
        &mut self,
        header: &Header,
        samples: &mut [u16],
        scanned: &mut Vec<usize>,
    ) -> Result<(), Problem> {
        let (named, predictor, shift) = match self.segment()? {
            [n, rest @ ..] if (1..=4).contains(n) && rest.len() == 2 * usize::from(*n) + 3 => {
                let (named, parameters) = rest.split_at(2 * usize::from(*n));
                (named, parameters[0], parameters[2] & 15)
            }
            _ => return damaged("a scan header of another form"),
        };
        if !(1..=7).contains(&predictor) || shift >= header.bits {
            return damaged(format!("a lossless scan of predictor {predictor}, shifted by {shift}"));
        }
        let mut chosen = Vec::new();
        for pair in named.chunks_exact(2) {
            let index = header.ids.iter().position(|id| *id == pair[0]);
            let Some(index) = index.filter(|i| !scanned.contains(i)) else {
                return damaged(format!("a scan of a component {} that is not there", pair[0]));
            };
            let table = self.dc.get(usize::from(pair[1] >> 4)).and_then(Option::as_ref);
            let Some(table) = table else { return damaged("a Huffman table is missing") };
            chosen.push((index, table));
            scanned.push(index);
        }
        let (c, w) = (header.ids.len(), header.w);
        let stride = w * c;
        let start = 1u16 << (header.bits - shift - 1);
        let mut bits = Bits::new(self.bytes, self.at);
        // The row where prediction began, which has nothing above it.
        let mut first = 0;
        for pixel in 0..header.h * w {
            let (y, x) = (pixel / w, pixel % w);
            if self.restart > 0 && pixel > 0 && pixel % self.restart == 0 {
                if x != 0 {
                    return damaged("a restart marker within a row");
                }
                bits.restart(pixel / self.restart - 1)?;
                first = y;
            }
            for (index, table) in &chosen {
                let at = pixel * c + index;
                let left = || samples[at - c];
                let above = || samples[at - stride];
                let prediction = match (x, y == first) {
                    (0, true) => start,
                    (0, false) => above(),
                    (_, true) => left(),
                    _ => predict(predictor, left(), above(), samples[at - stride - c]),
                };
                let difference = match bits.symbol(table)? {
                    16 => 1 << 15,
                    size @ 0..16 => bits.number(size.into())? as u16,
                    _ => return damaged("a difference of more than 16 bits"),
                };
                samples[at] = prediction.wrapping_add(difference);
            }
        }
        if shift > 0 {
            for (index, _) in &chosen {
                samples.iter_mut().skip(*index).step_by(c).for_each(|v| *v <<= shift);
            }
        }
        self.at = bits.at();
        Ok(())
    }
}

/// The predictors of table H.1, modulo 2^16.
fn predict(predictor: u8, left: u16, above: u16, corner: u16) -> u16 {
    let [a, b, c] = [left, above, corner].map(i32::from);
    let value = match predictor {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    };
    value as u16
}
