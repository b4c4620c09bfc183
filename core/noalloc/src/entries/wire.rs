use core::fmt::Display;

use deaddrop_core::drops::{Listed, Refusal};
use deaddrop_core::wire::{
    Answer, Beacon, BeaconError, ClientHello, ControlError, ErrorCode, Greeting, GreetingError, HelloError,
    Request, ServerHello, Suite, Suites,
};
use minicbor::decode;
use minicbor::encode::{self, write::EndOfSlice};

pub(super) fn keep() {
    keep![
        Answer::emit,
        Answer::parse,
        <Answer as From<Listed>>::from,
        Beacon::emit,
        Beacon::parse,
        <BeaconError as Display>::fmt,
        ClientHello::emit,
        ClientHello::parse,
        <ControlError as Display>::fmt,
        <ControlError as From<decode::Error>>::from,
        <ControlError as From<encode::Error<EndOfSlice>>>::from,
        ErrorCode::code,
        <ErrorCode as Display>::fmt,
        <ErrorCode as From<Refusal>>::from,
        Greeting::emit,
        Greeting::parse,
        <GreetingError as Display>::fmt,
        <HelloError as Display>::fmt,
        Request::emit,
        Request::parse,
        ServerHello::emit,
        ServerHello::parse,
        Suite::code,
        Suite::from_code,
        Suites::from_bits,
        Suites::bits,
        Suites::contains,
        Suites::choose,
    ];
}
