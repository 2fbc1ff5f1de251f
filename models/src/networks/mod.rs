//! One network, one file. A new one is a `mod`, a `pub use` and a line in [`ALL`].

mod anam_net;
mod anam_net_paper;
mod attention_unet;
mod dccgan_generator;
mod deeplab_v3_plus;
mod efficientnet;
mod enet;
mod lednet;
mod miniseg;
mod polsinelli_cnn;
mod residual_attention_unet;
mod resnet;
mod segnet;
mod shallow_cgan_generator;
mod squeezenet1_0;
mod squeezenet1_0_bypass;
mod squeezenet1_0_caffe;
mod squeezenet1_0_complex_bypass;
mod squeezenet1_1;
mod unet_anam;
mod unet_plus_plus;
mod unet_small_lung;
mod w251_baseline_cnn;

pub use anam_net::AnamNet;
pub use anam_net_paper::AnamNetPaper;
pub use attention_unet::AttentionUNet;
pub use dccgan_generator::DcCganGenerator;
pub use deeplab_v3_plus::DeepLabV3Plus;
pub use efficientnet::EfficientNet;
pub use enet::ENet;
pub use lednet::LedNet;
pub use miniseg::MiniSeg;
pub use polsinelli_cnn::PolsinelliCnn;
pub use residual_attention_unet::ResidualAttentionUNet;
pub use resnet::ResNet;
pub use segnet::SegNet;
pub use shallow_cgan_generator::ShallowCganGenerator;
pub use squeezenet1_0::SqueezeNet1_0;
pub use squeezenet1_0_bypass::SqueezeNet1_0Bypass;
pub use squeezenet1_0_caffe::SqueezeNet1_0Caffe;
pub use squeezenet1_0_complex_bypass::SqueezeNet1_0ComplexBypass;
pub use squeezenet1_1::SqueezeNet1_1;
pub use unet_anam::UNetAnam;
pub use unet_plus_plus::UNetPlusPlus;
pub use unet_small_lung::UNetSmallLung;
pub use w251_baseline_cnn::W251BaselineCnn;

use niello_codegen::import::network::Network;

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
    &UNetPlusPlus,
    &AttentionUNet,
    &DeepLabV3Plus,
    &SqueezeNet1_0ComplexBypass,
    &SqueezeNet1_0Caffe,
    &PolsinelliCnn,
    &EfficientNet::TORCHVISION[0],
    &EfficientNet::TORCHVISION[1],
    &EfficientNet::TORCHVISION[2],
    &EfficientNet::TORCHVISION[3],
    &EfficientNet::TORCHVISION[4],
    &EfficientNet::TORCHVISION[5],
    &EfficientNet::TORCHVISION[6],
    &EfficientNet::TORCHVISION[7],
    &EfficientNet::TF_SAME[0],
    &EfficientNet::TF_SAME[1],
    &EfficientNet::TF_SAME[2],
    &EfficientNet::TF_SAME[3],
    &EfficientNet::TF_SAME[4],
    &EfficientNet::TF_SAME[5],
    &EfficientNet::TF_SAME[6],
    &EfficientNet::TF_SAME[7],
    &EfficientNet::LITE[0],
    &EfficientNet::LITE[1],
    &EfficientNet::LITE[2],
    &EfficientNet::LITE[3],
    &EfficientNet::LITE[4],
    &SegNet,
    &ENet::UPSTREAM,
    &ENet::ANAM,
    &LedNet,
    &MiniSeg,
];
