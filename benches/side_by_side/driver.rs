// A generated model that infers on request. `compare.py` speaks with it as with `engines.py`:
//
//     program THREADS INPUT OUTPUT
//
// INPUT holds the model's input as `f32`, NHWC; the answer is written to OUTPUT likewise. For each number N that comes in
// on a line, as many inferences are made after one that does not count, and their times are printed in milliseconds.

use model::{INPUT_LEN, OUTPUT_LEN};
use niello::{Model, StaticCell};
use std::{error::Error, io, time::Instant};

static MODEL: StaticCell<Network> = StaticCell::new(Network::new());

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [threads, input_file, output_file] = &arguments[..] else {
        return Err("usage: program THREADS INPUT OUTPUT".into());
    };
    niello::kernels::threads::set(threads.parse()?)?;
    let model = MODEL.take().ok_or("the model is in use")?;
    let mut input = Box::new([0; INPUT_LEN]);
    let mut output = Box::new([0; OUTPUT_LEN]);
    model.self_test(&mut input, &mut output)?;

    let bytes = std::fs::read(input_file)?;
    if bytes.len() != 4 * INPUT_LEN {
        return Err(format!("{input_file}: expected {INPUT_LEN} values").into());
    }
    for (code, x) in input.iter_mut().zip(bytes.chunks_exact(4)) {
        *code = Network::INPUTS[0].quantize(f32::from_le_bytes([x[0], x[1], x[2], x[3]]));
    }
    model.infer(&input, &mut output);
    let values = output.iter().map(|code| Network::OUTPUTS[0].dequantize(*code));
    std::fs::write(output_file, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?;

    println!("ready");
    for line in io::stdin().lines() {
        let count: usize = line?.trim().parse()?;
        model.infer(&input, &mut output);
        let times = (0..count).map(|_| {
            let start = Instant::now();
            model.infer(&input, &mut output);
            format!("{:.4}", start.elapsed().as_secs_f64() * 1e3)
        });
        println!("{}", times.collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
