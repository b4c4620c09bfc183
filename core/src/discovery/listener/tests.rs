extern crate std;
use super::*;
