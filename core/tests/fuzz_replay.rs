//! The fuzz targets without a fuzzer: every input of the corpus, and random ones from a fixed seed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn the_corpus_passes() {
    for (name, target) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "{name}");
        inputs.iter().for_each(|input| target(input));
    }
}

/// Half of them random bytes, half of them corpus inputs with a few bytes mutated or repeated.
#[test]
fn random_inputs_pass() {
    for (name, target) in targets::TARGETS {
        let mut rng = ChaCha8Rng::seed_from_u64(0x6675_7a7a);
        let seeds = corpus(name);
        for round in 0..300 {
            let mut input = if round % 2 == 0 {
                let mut bytes = vec![0; rng.next_u32() as usize % 600];
                rng.fill_bytes(&mut bytes);
                bytes
            } else {
                let pick = |rng: &mut ChaCha8Rng| seeds[rng.next_u32() as usize % seeds.len()].clone();
                [pick(&mut rng), pick(&mut rng)].concat()
            };
            for _ in 0..round % 4 {
                let at = rng.next_u32() as usize % input.len().max(1);
                if let Some(byte) = input.get_mut(at) {
                    *byte = rng.next_u32().to_le_bytes()[0];
                }
            }
            target(&input);
        }
    }
}

#[test]
fn every_target_has_its_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for (name, _) in targets::TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let fuzzer = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(fuzzer.contains(&format!("targets::{name}(data)")), "{name}");
    }
}
