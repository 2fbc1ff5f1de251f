//! int8 beside float on the input of every golden case.

use super::{CASES, LARGE, build, common::sweep, open};
use niello_codegen::{
    Tensor, ValueId,
    check::compare::verify,
    lower::{Target, lower_apart},
    passes::optimize,
    precision::int16,
    program::Metadata,
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
};

/// The SQNR that a network's output must reach, in decibels.
const MIN_SQNR_DB: f64 = 20.0;

/// Ranges come from the same input, and float reads the dequantized input, so that this is rounding inside the network alone:
/// weights, activations, sums. Rounding random inputs would move maxima of nearly equal values to other pixels, and with them
/// all results of unpooling, in networks of any width.
#[test]
fn outputs_are_20_decibels_above_the_noise_of_8_bits_or_get_16_where_it_matters() {
    for (case, network) in CASES.iter().copied().filter(|(case, _)| sweep() || !LARGE.contains(case)) {
        let golden = open(case);
        let inputs = golden.inputs();
        let graph = optimize(build(network, &golden, &inputs[0]));
        let calibration = calibrate(&graph, [Ok(inputs.clone())], |_| {}).unwrap();
        let mut q = quantize(graph, &calibration, &QuantizeOptions::default()).unwrap();
        let program = lower_apart(&q, Target::find("host").unwrap(), Metadata::default()).unwrap();
        let as_coded = |(id, input): (&ValueId, &Tensor<f32>)| {
            let info = program.tensor(*id);
            info.dequantize(&info.quantize(&input.data))
        };
        let inputs: Vec<Tensor<f32>> = program.inputs.iter().zip(&inputs).map(as_coded).collect();
        let result = verify(&q.graph, &program, [Ok(inputs.clone())], |_, _| Ok(())).unwrap();
        let int8 = result.output.sqnr_db().unwrap_or(f64::INFINITY);
        println!("{case}: {int8:.1} dB");
        if int8 < MIN_SQNR_DB {
            let values = q.graph.values.len();
            let choice = int16::choose(&mut q, &calibration, &[inputs], MIN_SQNR_DB)
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            let wide = &choice.wide;
            println!(
                "{case}: {:.1} dB with 16 bits for {} results and {} layers' weights of {values}",
                choice.sqnr_db,
                wide.activations.len(),
                wide.weights.len()
            );
            assert!(choice.sqnr_db >= MIN_SQNR_DB, "{case}");
        }
    }
}
