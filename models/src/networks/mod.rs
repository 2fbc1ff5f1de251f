//! One network, one file. A new one is a `mod`, a `pub use` and a line in [`ALL`].

mod anam_net;
mod anam_net_paper;
mod dccgan_generator;
mod residual_attention_unet;
mod resnet;
mod shallow_cgan_generator;
mod squeezenet1_0;
mod squeezenet1_0_bypass;
mod squeezenet1_1;
mod unet_anam;
mod unet_small_lung;
mod w251_baseline_cnn;

pub use anam_net::AnamNet;
pub use anam_net_paper::AnamNetPaper;
pub use dccgan_generator::DcCganGenerator;
pub use residual_attention_unet::ResidualAttentionUNet;
pub use resnet::ResNet;
pub use shallow_cgan_generator::ShallowCganGenerator;
pub use squeezenet1_0::SqueezeNet1_0;
pub use squeezenet1_0_bypass::SqueezeNet1_0Bypass;
pub use squeezenet1_1::SqueezeNet1_1;
pub use unet_anam::UNetAnam;
pub use unet_small_lung::UNetSmallLung;
pub use w251_baseline_cnn::W251BaselineCnn;

use niello_codegen::network::Network;

/// Every network, in the order of listings.
pub static ALL: &[&dyn Network] = &[
    &AnamNet,
    &AnamNetPaper,
    &UNetAnam,
    &UNetSmallLung,
    &SqueezeNet1_0,
    &SqueezeNet1_1,
    &SqueezeNet1_0Bypass,
    &W251BaselineCnn,
    &ResNet::RESNET18,
    &ResNet::RESNET34,
    &ResNet::RESNET50,
    &ResNet::RESNEXT50,
    &DcCganGenerator,
    &ShallowCganGenerator,
    &ResidualAttentionUNet,
];
