//! Cycles of an instruction on each core, without wait states of memories.
//!
//! For the Cortex-M0+ and M3 they are those of Arm's technical reference manuals: DDI 0484C, table 3-1, with the multiplier
//! of one cycle, which the RP2040 has; and DDI 0337I, table 3-1, where a multiplication takes longer for some operands,
//! and a branch refills the pipeline in 1 to 3 cycles. Arm publishes none for the M33 and the M7. What stands here for
//! them is an **estimate**: the M33 as the M4 of DDI 0439B, table 3-1; the M7, which issues two instructions at once where
//! it can, between half a cycle for each instruction and the same as the M33 with branches foretold.

use super::instruction::{Class, Instruction};
use crate::environment::toolchain::Target;

/// At least and at most, in half cycles.
pub(crate) type HalfCycles = [u64; 2];

/// Half cycles of one instruction. `taken` is for a branch; `pipelined` if the instruction before was a single load or
/// store too.
pub(crate) fn half_cycles(
    core: Target,
    instruction: Instruction,
    taken: bool,
    pipelined: bool,
) -> HalfCycles {
    let Instruction { class, registers, to_pc } = instruction;
    let n = registers;
    let whole = |least: u64, most: u64| [2 * least, 2 * most];
    match core {
        Target::Thumbv6m => {
            let cycles = match class {
                Class::Data | Class::Multiply | Class::MultiplyLong | Class::AccumulateLong => {
                    1 + u64::from(to_pc)
                }
                Class::Load | Class::Store => 2,
                Class::Several if to_pc => 3 + n,
                Class::Several => 1 + n,
                Class::Branch => 1 + u64::from(taken),
                Class::Call => 3,
                Class::Indirect => 2,
                Class::Divide | Class::Barrier => 3,
            };
            whole(cycles, cycles)
        }
        Target::Thumbv7m => match class {
            Class::Data if to_pc => whole(2, 4),
            Class::Data => whole(1, 1),
            Class::Multiply => whole(1, 2),
            Class::MultiplyLong => whole(3, 5),
            Class::AccumulateLong => whole(4, 7),
            Class::Divide => whole(2, 12),
            Class::Load | Class::Store if to_pc => whole(3, 5),
            Class::Load | Class::Store if pipelined => whole(1, 2),
            Class::Load | Class::Store => whole(2, 2),
            Class::Several if to_pc => whole(2 + n, 4 + n),
            Class::Several => whole(1 + n, 1 + n),
            Class::Branch if !taken => whole(1, 1),
            Class::Branch | Class::Call | Class::Indirect => whole(2, 4),
            Class::Barrier => whole(1, 4),
        },
        Target::Thumbv8mMainHf => match class {
            Class::Divide => whole(2, 12),
            Class::Load | Class::Store if to_pc => whole(3, 5),
            Class::Load | Class::Store if pipelined => whole(1, 2),
            Class::Load | Class::Store => whole(1, 2),
            Class::Several if to_pc => whole(2 + n, 4 + n),
            Class::Several => whole(n, 1 + n),
            Class::Branch if !taken => whole(1, 1),
            Class::Branch | Class::Call | Class::Indirect => whole(2, 4),
            _ if to_pc => whole(2, 4),
            _ => whole(1, 1),
        },
        Target::Thumbv7emHf => match class {
            Class::Divide => whole(2, 12),
            Class::Several => [n.max(1), 2 * (1 + n)],
            Class::Load | Class::Store => [1, 4],
            Class::Indirect => [2, 4],
            _ => [1, 2],
        },
    }
}
