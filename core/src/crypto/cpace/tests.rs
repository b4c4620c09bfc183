//! The draft's test vectors of this suite and mode, and runs between two parties.
//!
//! `core/tests/vectors/cpace-ristr255-sha512.json` also has vectors that this protocol does not use: `o_cat`,
//! `transcript_oc`, `ISK_SY` and `sid_output_oc` (no initiator), and `sid_output_ir`, which is checked here
//! although a deaddrop session makes its sid from nonces.

extern crate std;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../../tests/vectors/cpace-ristr255-sha512.json");

/// Collects the hash input.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Update for Bytes {
    fn update(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }
}

fn written(write: impl FnOnce(&mut Bytes)) -> Vec<u8> {
    let mut out = Bytes::default();
    write(&mut out);
    out.0
}

fn section(name: &str) -> Value {
    serde_json::from_str::<Value>(VECTORS).unwrap()[name].clone()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    assert_eq!(text.len() % 2, 0);
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn hex32(value: &Value) -> [u8; 32] {
    hex(value).try_into().unwrap()
}

fn scalar(value: &Value) -> Scalar {
    Scalar::from_canonical_bytes(hex32(value)).unwrap()
}

#[test]
fn prepend_len() {
    let v = section("prepend_len");
    let counting = |n: u8| (0..n).collect::<Vec<u8>>();
    for (input, name) in [
        (Vec::new(), "prepend_len(b'')"),
        (b"1234".to_vec(), "prepend_len(b'1234')"),
        (counting(127), "prepend_len(bytes(range(127)))"),
        (counting(128), "prepend_len(bytes(range(128)))"),
    ] {
        let expected = hex(&v[name]);
        assert_eq!(written(|out| put_lv(out, &input)), expected, "{name}");
        assert_eq!(lv_len(&input), expected.len(), "{name}");
    }
}

#[test]
fn long_lengths_are_leb128() {
    for (len, prefix) in [(16_383, &[0xff, 0x7f][..]), (16_384, &[0x80, 0x80, 0x01]), (300, &[0xac, 0x02])] {
        let input = std::vec![7; len];
        let bytes = written(|out| put_lv(out, &input));
        assert_eq!(&bytes[..prefix.len()], prefix);
        assert_eq!(bytes.len(), prefix.len() + len);
        assert_eq!(lv_len(&input), bytes.len());
    }
}

#[test]
fn lv_cat() {
    let expected = hex(&section("lv_cat")["lv_cat(b'1234',b'5',b'',b'678')"]);
    assert_eq!(written(|out| put_lv_cat(out, &[b"1234", b"5", b"", b"678"])), expected);
}

#[test]
fn transcript_ir() {
    let v = section("transcript_ir");
    for (a, b, name) in [
        ("123", "234", "transcript_ir(b'123',b'PartyA',b'234',b'PartyB')"),
        ("3456", "2345", "transcript_ir(b'3456',b'PartyA',b'2345',b'PartyB')"),
    ] {
        let bytes = written(|out| {
            put_transcript_ir(out, (a.as_bytes(), b"PartyA"), (b.as_bytes(), b"PartyB"));
        });
        assert_eq!(bytes, hex(&v[name]), "{name}");
    }
}

#[test]
fn calculate_generator() {
    let v = section("calculate_generator");
    let (prs, ci, sid) = (hex(&v["PRS"]), hex(&v["CI"]), hex(&v["sid"]));
    assert_eq!(v["H.s_in_bytes"], BLOCK);
    assert_eq!(hex(&v["DSI"]), DSI);
    let string = written(|out| put_generator_string(out, &prs, &ci, &sid));
    assert_eq!(string, hex(&v["generator_string(G.DSI,PRS,CI,sid,H.s_in_bytes)"]));
    assert_eq!(Sha512::digest(&string)[..], hex(&v["hash result"]));
    let g = hex32(&v["encoded generator g"]);
    assert_eq!(generator(&prs, &ci, &sid).compress().to_bytes(), g);
    assert_eq!(g, hex32(&section("main")["g"]));
}

#[test]
fn shares_and_keys_of_both_sides() {
    let v = section("main");
    let (prs, ci, sid) = (hex(&v["PRS"]), hex(&v["CI"]), hex(&v["sid"]));
    let (ada, adb) = (hex(&v["ADa"]), hex(&v["ADb"]));
    let (scalar_a, scalar_b) = (scalar(&v["ya"]), scalar(&v["yb"]));
    let g = generator(&prs, &ci, &sid);
    let share_a = (*g * scalar_a).compress().to_bytes();
    let share_b = (*g * scalar_b).compress().to_bytes();
    assert_eq!(share_a, hex32(&v["Ya"]));
    assert_eq!(share_b, hex32(&v["Yb"]));
    for (scalar, peer) in [(scalar_a, share_b), (scalar_b, share_a)] {
        let k = scalar_mult_vfy(&scalar, &peer).unwrap();
        assert_eq!(*k, hex32(&v["K"]));
        let isk = isk_ir(&sid, &k, (&share_a, &ada), (&share_b, &adb));
        assert_eq!(isk.expose()[..], hex(&v["ISK_IR"]));
    }
    // Part of the draft, not of the protocol: a sid made from the transcript.
    let sid_output = Sha512::digest(written(|out| {
        out.update(b"CPaceSidOutput");
        put_transcript_ir(out, (&share_a, &ada), (&share_b, &adb));
    }));
    assert_eq!(sid_output[..], hex(&v["sid_output_ir"]));
}

#[test]
fn points() {
    let v = section("points");
    let valid = &v["Valid"];
    let s = scalar(&valid["s"]);
    let k = scalar_mult_vfy(&s, &hex32(&valid["X"])).unwrap();
    assert_eq!(*k, hex32(&valid["G.scalar_mult_vfy(s,X)"]));
    for name in ["Invalid Y1", "Invalid Y2"] {
        assert_eq!(scalar_mult_vfy(&s, &hex32(&v[name])).unwrap_err(), InvalidPeer, "{name}");
    }
}

/// A run through the public API with the draft's scalars gives the same results as the single steps.
#[test]
fn the_public_api_gives_what_the_checked_steps_give() {
    let v = section("main");
    let (scalar_a, scalar_b) = (scalar(&v["ya"]), scalar(&v["yb"]));
    let (prs, ci, sid) = ([1; 32], [2; 48], [3; 32]);
    let a = Exchange::with_scalar(&prs, &ci, &sid, Zeroizing::new(scalar_a));
    let b = Exchange::with_scalar(&prs, &ci, &sid, Zeroizing::new(scalar_b));
    let (share_a, share_b) = (*a.share(), *b.share());
    let k = (*generator(&prs, &ci, &sid) * scalar_a * scalar_b).compress().to_bytes();
    let expected = Sha512::digest(written(|out| {
        put_lv_cat(out, &[b"CPaceRistretto255_ISK", &sid, &k]);
        put_lv_cat(out, &[&share_a, b"client", &share_b, b"server"]);
    }));
    assert_eq!(a.finish_initiator(&share_b).unwrap().expose()[..], expected[..]);
    assert_eq!(b.finish_responder(&share_a).unwrap().expose()[..], expected[..]);
}

fn start(prs: [u8; 32], ci: &[u8], sid: &[u8; 32], seed: u64) -> Exchange {
    Exchange::start(&Prs::new(prs), ci, sid, &mut ChaCha20Rng::seed_from_u64(seed))
}

#[test]
fn both_sides_reject_undecodable_shares_and_the_identity() {
    let v = section("points");
    for name in ["Invalid Y1", "Invalid Y2"] {
        let share = hex32(&v[name]);
        let run = || start([1; 32], b"ci", &[2; 32], 3);
        assert_eq!(run().finish_initiator(&share).unwrap_err(), InvalidPeer);
        assert_eq!(run().finish_responder(&share).unwrap_err(), InvalidPeer);
    }
}

#[test]
fn two_clients_or_two_servers_do_not_agree() {
    let run = |seed| start([1; 32], b"ci", &[2; 32], seed);
    let (a, b) = (*run(3).share(), *run(4).share());
    let clients = [run(3).finish_initiator(&b), run(4).finish_initiator(&a)].map(Result::unwrap);
    let servers = [run(3).finish_responder(&b), run(4).finish_responder(&a)].map(Result::unwrap);
    assert_ne!(clients[0].expose(), clients[1].expose());
    assert_ne!(servers[0].expose(), servers[1].expose());
    assert_eq!(clients[0].expose(), servers[1].expose());
}

#[test]
fn a_reflected_share_proves_nothing() {
    let share = *start([1; 32], b"ci", &[2; 32], 3).share();
    let client = start([1; 32], b"ci", &[2; 32], 3).finish_initiator(&share).unwrap();
    let server = start([1; 32], b"ci", &[2; 32], 4).finish_responder(&share).unwrap();
    assert_ne!(client.expose(), server.expose());
}

#[test]
fn every_start_draws_a_fresh_scalar() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let prs = Prs::new([1; 32]);
    let mut run = || *Exchange::start(&prs, b"ci", &[2; 32], &mut rng).share();
    assert_ne!(run(), run());
}

#[test]
fn debug_shows_nothing() {
    let run = start([1; 32], b"ci", &[2; 32], 3);
    let share = *run.share();
    assert_eq!(std::format!("{run:?}"), "Exchange(..)");
    assert_eq!(std::format!("{:?}", run.finish_initiator(&share).unwrap()), "Isk(..)");
}

/// A value, and another that may differ from it.
fn pair<T: Clone + fmt::Debug>(of: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = (T, T)> {
    prop_oneof![of.clone().prop_map(|x| (x.clone(), x)), (of.clone(), of)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parties_agree_if_and_only_if_their_inputs_do(
        prs in pair(any::<[u8; 32]>()),
        ci in pair(proptest::collection::vec(any::<u8>(), 0..=64)),
        sid in pair(any::<[u8; 32]>()),
        seeds in any::<(u64, u64)>(),
    ) {
        let a = start(prs.0, &ci.0, &sid.0, seeds.0);
        let b = start(prs.1, &ci.1, &sid.1, seeds.1);
        let (share_a, share_b) = (*a.share(), *b.share());
        let a = a.finish_initiator(&share_b).unwrap();
        let b = b.finish_responder(&share_a).unwrap();
        let same = prs.0 == prs.1 && ci.0 == ci.1 && sid.0 == sid.1;
        prop_assert_eq!(a.expose() == b.expose(), same);
    }
}

/// The file names its source: vectors without a source prove nothing.
#[test]
fn the_vectors_name_their_source() {
    let source = serde_json::from_str::<Value>(VECTORS).unwrap()["_source"].as_str().map(String::from);
    assert!(source.unwrap().contains("draft-irtf-cfrg-cpace-21"));
}
