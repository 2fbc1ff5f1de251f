//! What several networks share. Each block names its layers as the checkpoints do.

mod ad_block;
mod conv_bn_relu;
mod fire;
mod squeezenet;

pub(crate) use ad_block::ad_block;
pub(crate) use conv_bn_relu::{conv_bn_relu, double_conv};
pub(crate) use squeezenet::{Feature, squeezenet};
