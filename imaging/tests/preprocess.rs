//! The result of each pre-processing.

mod common;

use common::{noise, npy};
use niello_imaging::{Image, Preprocess, Samples, load_bytes};

fn gray(samples: &[u8]) -> Image {
    Image::new("gray.png", [1, samples.len(), 1], Samples::U8(samples.to_vec())).unwrap()
}

fn rgb(samples: &[u8]) -> Image {
    Image::new("rgb.png", [1, samples.len() / 3, 3], Samples::U8(samples.to_vec())).unwrap()
}

fn hu(values: &[f32]) -> Image {
    Image::new("slice.dcm", [1, values.len(), 1], Samples::Real(values.to_vec())).unwrap()
}

fn apply(text: &str, image: &Image, channels: usize) -> Vec<f32> {
    Preprocess::parse(text).unwrap().apply(image, [1, image.width()], channels).unwrap()
}

#[test]
fn numbers_are_as_documented() {
    let unit = |v: &[u8]| v.iter().map(|v| f32::from(*v) / 255.0).collect::<Vec<f32>>();
    for (text, image, channels, expected) in [
        ("unit", gray(&[0, 51, 255]), 1, vec![0.0, 0.2, 1.0]),
        ("unit polarity=inverted", gray(&[0, 204, 255]), 1, vec![1.0, 0.2, 0.0]),
        ("unit", gray(&[51]), 3, vec![0.2; 3]),
        ("raw", gray(&[0, 7]), 1, vec![0.0, 7.0]),
        ("raw", rgb(&[255, 0, 0]), 1, vec![76.0]),
        ("raw colour=gray", rgb(&[255, 0, 0]), 3, vec![76.0; 3]),
        ("raw", rgb(&[1, 2, 3]), 3, vec![1.0, 2.0, 3.0]),
        ("raw", hu(&[-1000.5, 40.0]), 1, vec![-1000.5, 40.0]),
        ("caffe", rgb(&[200, 150, 100]), 3, vec![-4.0, 33.0, 77.0]),
        ("caffe", gray(&[150]), 3, vec![46.0, 33.0, 27.0]),
        ("imagenet resize=none", rgb(&[255, 0, 51]), 3, vec![2.248_908_3, -2.035_714_1, -0.915_555_54]),
        ("mean-std:0.45,0.225", gray(&[255, 0]), 1, vec![0.55 / 0.225, -2.0]),
        ("mean-std:0,0.5,1,1,2,4", rgb(&[255, 255, 255]), 3, vec![1.0, 0.25, 0.0]),
        // Windowed to 0, 0, 127.5 (to even: 128), 255, 255.
        ("window:-600,1500", hu(&[-2000.0, -1350.0, -600.0, 150.0, 3000.0]), 1, unit(&[0, 0, 128, 255, 255])),
        ("window:-600,1500", gray(&[51]), 1, vec![0.2]),
        ("hu:1024", hu(&[-2000.0, -1024.0, 0.0, 100.0]), 1, vec![0.0, 0.0, 1024.0, 1124.0]),
        ("minmax", hu(&[-1000.0, -490.0, 1000.0]), 1, unit(&[0, 65, 255])),
        ("minmax", gray(&[10, 20, 30]), 1, unit(&[0, 128, 255])),
        ("minmax", gray(&[9, 9]), 1, vec![0.0, 0.0]),
        ("standardize", gray(&[0, 255]), 1, vec![-1.0, 1.0]),
        ("standardize", gray(&[9, 9]), 3, vec![0.0; 6]),
        ("standardize", rgb(&[0, 255, 0, 255, 0, 255]), 3, vec![-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]),
        ("unit window=0,2", hu(&[-1.0, 1.0]), 1, vec![0.0, 1.0]),
        ("raw window=0,2 polarity=inverted", hu(&[-1.0, 1.0]), 3, vec![255.0, 255.0, 255.0, 0.0, 0.0, 0.0]),
    ] {
        let found = apply(text, &image, channels);
        let close =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{text} of {:?}: {found:?}, expected {expected:?}", image.samples());
    }
}

#[test]
fn the_table_is_the_pipeline_for_8_bit_samples() {
    let every: Vec<u8> = (0..=255).collect();
    let colours: Vec<u8> = every.iter().flat_map(|v| [*v, v.wrapping_mul(3), 255 - v]).collect();
    for text in
        ["unit", "raw", "imagenet resize=none", "caffe", "window:40,400", "mean-std:0.1,0.2,0.3,1,2,3"]
    {
        for text in [text.to_string(), format!("{text} polarity=inverted"), format!("{text} colour=gray")] {
            let preprocess = Preprocess::parse(&text).unwrap();
            let tables = preprocess.table(3).unwrap();
            for image in [gray(&every), rgb(&colours)] {
                let shown = if text.contains("colour=gray") { image.to_gray() } else { image.clone() };
                let Samples::U8(samples) = shown.samples() else { unreachable!() };
                let looked_up: Vec<f32> = samples
                    .chunks(shown.channels())
                    .flat_map(|p| tables.iter().map(|t| t.values[usize::from(p[t.source.min(p.len() - 1)])]))
                    .collect();
                assert_eq!(apply(&text, &image, 3), looked_up, "{text}");
            }
        }
    }
    for text in ["hu:1024", "minmax", "standardize"] {
        assert_eq!(Preprocess::parse(text).unwrap().table(1), None);
    }
    assert_eq!(Preprocess::parse("caffe").unwrap().table(1), None);
}

#[test]
fn misfits_are_errors_that_name_the_image() {
    for (text, image, size, channels, words) in [
        ("unit", gray(&[1, 2]), [2, 2], 1, "expected an image of 2x2"),
        ("unit", hu(&[1.0]), [1, 1], 1, "add a window"),
        ("hu:0", gray(&[1]), [1, 1], 1, "needs Hounsfield units"),
        ("hu:0 window=0,2", hu(&[1.0]), [1, 1], 1, "needs Hounsfield units"),
        ("imagenet", gray(&[1]), [1, 1], 1, "not made for 1 input channels"),
        ("mean-std:1,2,3,4,5,6", gray(&[1]), [1, 1], 1, "not made for 1 input channels"),
        ("raw", rgb(&[1, 2, 3]), [1, 1], 2, "2 input channels, the image 3"),
        ("hu:0 polarity=inverted", hu(&[1.0]), [1, 1], 1, "give a window"),
        ("raw resize=stretch", gray(&[1]), [0, 1], 1, "cannot be resized"),
        ("raw resize=shorter-side-crop", gray(&[1; 9000]), [224, 224], 1, "too long and thin"),
    ] {
        let preprocess = Preprocess::parse(text).unwrap();
        let error = preprocess.apply(&image, size, channels).unwrap_err().to_string();
        let name = image.name().display().to_string();
        assert!(error.starts_with(&name) && error.contains(words), "{text}: {error}");
    }
}

/// Axes that are not height, width and channels are rejected for any values: such an array is never resized.
#[test]
fn arrays_with_other_axes_are_refused_or_read_as_documented() {
    let texts = [
        "mean-std:0.45,0.225 resize=stretch colour=gray window=-600,1500",
        "raw resize=area",
        "minmax resize=stretch",
    ];
    for (shape, gray, three) in [
        ("(8, 6)", true, true),
        ("(8, 6, 1)", true, true),
        ("(8, 6, 3)", true, true),
        ("(8, 6, 2)", false, false),
        ("(8, 6, 5)", false, false),
        ("(1, 8, 6)", false, false),
        ("(3, 8, 6)", false, false),
        ("(5, 8, 8)", false, false),
        ("(8, 8, 8)", false, false),
        ("(1, 1, 8, 6)", false, false),
        ("(1, 8, 6, 1)", false, false),
        ("(48,)", false, false),
    ] {
        let count: usize = shape
            .trim_matches(['(', ')'])
            .split(',')
            .filter_map(|n| n.trim().parse::<usize>().ok())
            .product();
        let array = |size: usize| noise(7, count * size);
        let real: Vec<u8> = array(1).iter().flat_map(|v| f32::from(*v).to_le_bytes()).collect();
        for (descr, data) in
            [("|i1", array(1)), ("<i2", array(2)), ("<u2", array(2)), ("<f4", real), ("|u1", array(1))]
        {
            // Of 8 bits, the second and the fourth channel are alpha.
            let alpha = descr == "|u1" && shape.ends_with(" 2)");
            for text in texts {
                for (channels, expected) in [(1, gray || alpha), (3, three || alpha)] {
                    let read = load_bytes("a.npy", &npy(descr, shape, &data));
                    let found =
                        read.and_then(|p| Preprocess::parse(text).unwrap().apply(&p, [16, 12], channels));
                    assert_eq!(found.is_ok(), expected, "{descr} {shape}, {text}, {channels}: {found:?}");
                    match found {
                        Ok(found) => assert_eq!(found.len(), 16 * 12 * channels),
                        Err(error) => assert!(error.to_string().contains("a.npy: "), "{error}"),
                    }
                }
            }
        }
    }
    // As many channels as the network has are its own.
    let five = load_bytes("five", &npy("<i2", "(8, 6, 5)", &noise(7, 480))).unwrap();
    assert_eq!(Preprocess::parse("raw").unwrap().apply(&five, [8, 6], 5).unwrap().len(), 240);
}

#[test]
fn a_leading_channel_axis_is_said_to_be_one() {
    for (descr, shape, words) in [
        ("<i2", "(1, 8, 6)", " 6 (1x8x6"),
        ("|u1", "(1, 8, 6)", " 6 (1x8x6"),
        ("|u1", "(3, 8, 8)", "numpy.moveaxis(a, 0, -1)"),
        ("<i2", "(3, 8, 8)", "numpy.moveaxis(a, 0, -1)"),
        ("<f4", "(1, 1, 4, 6)", "save one image of it, a[0]"),
    ] {
        let data = [0; 8 * 8 * 3 * 2];
        let length = match (descr, shape) {
            ("|u1", "(1, 8, 6)") => 48,
            ("<i2", "(1, 8, 6)") | ("<f4", _) => 96,
            ("|u1", _) => 192,
            _ => 384,
        };
        let read = load_bytes("a.npy", &npy(descr, shape, &data[..length]));
        let error = read
            .and_then(|p| Preprocess::parse("raw").unwrap().apply(&p, [8, 6], 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{descr} {shape}: {error}");
    }
}

#[test]
fn the_view_is_what_the_network_sees_in_gray() {
    let view =
        |text: &str, image: &Image| Preprocess::parse(text).unwrap().view(image, [1, image.width()]).unwrap();
    assert_eq!(view("unit", &gray(&[1, 2])), [1, 2]);
    assert_eq!(view("minmax", &gray(&[1, 2])), [0, 255]);
    assert_eq!(view("caffe polarity=inverted", &rgb(&[255, 0, 0])), [179]);
    assert_eq!(view("window:0,2", &hu(&[-1.0, 1.0])), [0, 255]);
    // No window of their own: the lung window.
    assert_eq!(view("hu:1024", &hu(&[-1350.0, 150.0])), [0, 255]);
    assert_eq!(view("raw", &hu(&[-1350.0, 150.0])), [0, 255]);
}
