//! What several networks share. Each block names its layers as the checkpoints do.

mod ad_block;
mod conditional_generator;
mod conv_bn_relu;
mod fire;
mod lsh_attention;
mod resnet;
mod squeezenet;

pub(crate) use ad_block::ad_block;
pub(crate) use conditional_generator::ConditionalGenerator;
pub(crate) use conv_bn_relu::{conv_bn_relu, convs, double_conv};
pub(crate) use lsh_attention::LshAttention;
pub(crate) use resnet::{Block, Bottleneck, bottleneck, resnet};
pub(crate) use squeezenet::{Feature, squeezenet};
