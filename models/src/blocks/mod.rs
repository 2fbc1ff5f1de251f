//! Blocks of several networks. Each block names its layers as the checkpoints do.

mod activation;
mod ad_block;
mod conditional_generator;
mod conv_bn_act;
mod enet_bottleneck;
mod fire;
mod lsh_attention;
mod mb_conv;
mod named;
mod resnet;
mod squeezenet;

pub(crate) use activation::{Activation, prelu};
pub(crate) use ad_block::ad_block;
pub(crate) use conditional_generator::ConditionalGenerator;
pub(crate) use conv_bn_act::{conv_bn_act, conv_bn_relu, convs, double_conv};
pub(crate) use enet_bottleneck::{Middle, add_act, enet_bottleneck};
pub(crate) use fire::{elu, fire_bn_elu};
pub(crate) use lsh_attention::LshAttention;
pub(crate) use mb_conv::{MbConv, Style};
pub(crate) use named::named;
pub(crate) use resnet::{Block, Bottleneck, Stage, bottleneck, resnet, stage, stem};
pub(crate) use squeezenet::{Feature, squeezenet};
