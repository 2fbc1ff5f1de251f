//! Two networks of MLPerf Tiny whose files are not in this repository, layer by layer as they are published and with seeded weights. Sizes alone
//! determine how many instructions an inference takes.

use niello_codegen::{
    Error, Graph, GraphBuilder, Result, Shape,
    import::network::{Network, NetworkOptions},
    ops::{AveragePool2d, ConvParams, Softmax},
    weights::WeightSource,
};

/// Visual wake words: MobileNet v1 of a quarter of the channels, an image `[96, 96, 3]`, shares of two classes. 7.5 million multiply-accumulates.
pub(crate) struct VisualWakeWords;

/// Anomaly detection: ten fully connected layers, 640 numbers in and out, 264 thousand multiply-accumulates.
pub(crate) struct AnomalyDetection;

/// What a recipe asks for and cannot have.
fn fixed(network: &dyn Network, options: &NetworkOptions) -> Result<()> {
    match options {
        NetworkOptions { input_size: None, input_channels: None, classes: None, width: None, .. } => Ok(()),
        _ => Err(Error::Invalid(format!("{}: its sizes are fixed", network.name()))),
    }
}

impl Network for VisualWakeWords {
    fn name(&self) -> &'static str {
        "mlperf_tiny_vww"
    }

    fn summary(&self) -> &'static str {
        "MLPerf Tiny's visual wake words: MobileNet v1 0.25"
    }

    fn source(&self) -> &'static str {
        "Banbury et al., arXiv 2106.07597; mlcommons/tiny, visual_wake_words"
    }

    fn default_input(&self) -> Shape {
        Shape::new(96, 96, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["non_person", "person"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        /// Output channels and stride of each pair of a depthwise and a 1x1 convolution.
        const PAIRS: [(usize, usize); 13] = [
            (16, 1),
            (32, 2),
            (32, 1),
            (64, 2),
            (64, 1),
            (128, 2),
            (128, 1),
            (128, 1),
            (128, 1),
            (128, 1),
            (128, 1),
            (256, 2),
            (256, 1),
        ];
        fixed(self, options)?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let conv = |b: &mut GraphBuilder<'_>, name: &str, x, params: ConvParams| {
            let Shape { h, w, .. } = b.shape(x);
            let x = b.conv2d(&format!("{name}.conv"), x, params.same([h, w]));
            b.relu(name, x)
        };
        let mut x = b.input("input", self.default_input());
        x = conv(&mut b, "first", x, ConvParams::new(8, 3).stride(2));
        for (i, (channels, stride)) in PAIRS.into_iter().enumerate() {
            let c = b.shape(x).c;
            x = conv(
                &mut b,
                &format!("pair{i}.depthwise"),
                x,
                ConvParams::new(c, 3).stride(stride).groups(c),
            );
            x = conv(&mut b, &format!("pair{i}.1x1"), x, ConvParams::new(channels, 1));
        }
        let x = b.add_op("pool", AveragePool2d::new(3, 3), &[x]);
        let x = b.linear("fc", x, 2);
        let x = b.add_op("shares", Softmax, &[x]);
        b.finish(&[x])
    }
}

impl Network for AnomalyDetection {
    fn name(&self) -> &'static str {
        "mlperf_tiny_autoencoder"
    }

    fn summary(&self) -> &'static str {
        "MLPerf Tiny's anomaly detection: an autoencoder of fully connected layers"
    }

    fn source(&self) -> &'static str {
        "Banbury et al., arXiv 2106.07597; mlcommons/tiny, anomaly_detection"
    }

    fn default_input(&self) -> Shape {
        Shape::new(1, 1, 640)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &[]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        fixed(self, options)?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let mut x = b.input("input", self.default_input());
        for (i, channels) in [128, 128, 128, 128, 8, 128, 128, 128, 128].into_iter().enumerate() {
            x = b.linear(&format!("fc{i}.linear"), x, channels);
            x = b.relu(&format!("fc{i}"), x);
        }
        let x = b.linear("fc9", x, 640);
        b.finish(&[x])
    }
}
