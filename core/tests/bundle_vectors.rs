//! Whole bundles, accepted and refused, from a writer of its own in another language.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use deaddrop_core::offer::Name;
use deaddrop_core::wire::{BundleError, BundleReader};
use serde_json::Value;

fn read(name: &str, stream: &[u8]) -> Result<(), BundleError> {
    let mut reader = BundleReader::new(Name::new(name).unwrap(), stream.len() as u64);
    let mut input = stream;
    while reader.next(&mut input)?.is_some() {}
    reader.finish()
}

#[test]
fn every_vector_is_accepted_or_refused_as_it_says() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors/bundle.json")).unwrap();
    for vector in &vectors {
        let hex = vector["stream"].as_str().unwrap();
        let stream: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let result = read(vector["name"].as_str().unwrap(), &stream);
        assert_eq!(result.is_ok(), vector["accepted"].as_bool().unwrap(), "{}: {result:?}", vector["what"]);
    }
    assert!(vectors.len() > 20, "{}", vectors.len());
}
