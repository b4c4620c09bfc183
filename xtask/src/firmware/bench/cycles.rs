//! Cycles of the measured steps, from a histogram of every instruction that the image executes.
//!
//! QEMU logs each block of instructions when it translates it, and each time that it executes one.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use object::{Object, ObjectSymbol};

use super::instruction::{Class, Instruction};
use super::processor::Processor;
use super::timing::half_cycles;
use crate::environment::repo::{Failure, Repo};
use crate::environment::toolchain::Target;

/// The function of the image that is called at the beginning and the end of each step.
const MARK: &str = "read_counter";

/// Cycles at least and at most, for each step in their order.
pub(crate) fn measure(repo: &Repo, processor: Processor) -> Result<Vec<[u64; 2]>, Failure> {
    let image = processor.image(repo)?;
    let mark = mark(&image)?;
    let mut emulator = processor.emulator(repo, &image);
    emulator.args(["-d", "in_asm,exec,nochain"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = emulator.spawn().map_err(Failure::at("QEMU"))?;
    let log = running.stderr.take().ok_or_else(|| Failure::new("QEMU has no log"))?;
    let steps = steps(log, mark, processor.target).map_err(Failure::at("QEMU's log"))?;
    let status = running.wait().map_err(Failure::at("QEMU"))?;
    if status.success() { Ok(steps) } else { Err(Failure(format!("QEMU: {status}"))) }
}

/// The address of [`MARK`].
fn mark(image: &Path) -> Result<u32, Failure> {
    let bytes = std::fs::read(image).map_err(Failure::at(image.display()))?;
    let file = object::File::parse(bytes.as_slice()).map_err(Failure::at(image.display()))?;
    let found = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains(MARK)));
    let address = found.and_then(|symbol| u32::try_from(symbol.address()).ok());
    // The lowest bit says that it is Thumb code.
    address.map(|address| address & !1).ok_or_else(|| Failure(format!("the image has no function {MARK}")))
}

/// A block of instructions without a branch but at its end.
struct Block {
    instructions: Vec<Instruction>,
    /// Where it goes on if the last instruction does not branch.
    next: u32,
}

/// Sums up the steps in a log: what is between each odd call of the function at `mark` and the next even one.
fn steps(log: impl Read, mark: u32, core: Target) -> std::io::Result<Vec<[u64; 2]>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut at: HashMap<u32, usize> = HashMap::new();
    // How often each block was executed, and how often its last branch was taken.
    let mut executed: HashMap<usize, [u64; 2]> = HashMap::new();
    let (mut measuring, mut steps, mut before) = (false, Vec::new(), None::<usize>);
    let (mut log, mut line, mut new_block) = (BufReader::with_capacity(1 << 20, log), Vec::new(), false);
    loop {
        line.clear();
        if log.read_until(b'\n', &mut line)? == 0 {
            return Ok(steps);
        }
        if line.starts_with(b"IN:") {
            new_block = true;
        } else if line.starts_with(b"0x") {
            let text = String::from_utf8_lossy(&line);
            let Some((address, next, instruction)) = disassembled(&text) else { continue };
            if core::mem::take(&mut new_block) {
                at.insert(address, blocks.len());
                blocks.push(Block { instructions: Vec::new(), next });
            }
            if let Some(block) = blocks.last_mut() {
                block.instructions.push(instruction);
                block.next = next;
            }
        } else if let Some(pc) = traced(&line) {
            if let Some(index) = before
                && measuring
                && blocks.get(index).is_some_and(|block| block.next != pc)
                && let Some([_, taken]) = executed.get_mut(&index)
            {
                *taken += 1;
            }
            if pc == mark {
                if measuring {
                    steps.push(sum(&blocks, &executed, core));
                    executed.clear();
                }
                measuring = !measuring;
            }
            before = at.get(&pc).copied();
            if let Some(index) = before.filter(|_| measuring) {
                executed.entry(index).or_default()[0] += 1;
            }
        }
    }
}

/// Cycles of all executed blocks.
fn sum(blocks: &[Block], executed: &HashMap<usize, [u64; 2]>, core: Target) -> [u64; 2] {
    let mut total = [0; 2];
    for (index, [times, taken]) in executed {
        let Some(block) = blocks.get(*index) else { continue };
        let mut pipelined = false;
        for (place, instruction) in block.instructions.iter().enumerate() {
            let last = place + 1 == block.instructions.len();
            let taken = if last { *taken } else { 0 };
            let [through, away] =
                [false, true].map(|taken| half_cycles(core, *instruction, taken, pipelined));
            for (total, (through, away)) in total.iter_mut().zip(through.into_iter().zip(away)) {
                *total += through * (times - taken) + away * taken;
            }
            pipelined = matches!(instruction.class, Class::Load | Class::Store);
        }
    }
    total.map(|half| half.div_ceil(2))
}

/// Address, address of the next, and what it is, from `0x000000f0:  f001 f8b8  bl       #0x1264`.
fn disassembled(line: &str) -> Option<(u32, u32, Instruction)> {
    let (address, rest) = line.trim_end().strip_prefix("0x")?.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?;
    let mut rest = rest.trim_start();
    let mut next = address;
    while let Some((_, after)) = rest.split_once(' ').filter(|(word, _)| is_code(word)) {
        next += 2;
        rest = after.trim_start();
    }
    let (mnemonic, operands) = rest.split_once(' ').unwrap_or((rest, ""));
    (next > address).then(|| (address, next, Instruction::parse(mnemonic, operands.trim_start())))
}

/// Half a word of code.
fn is_code(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The address of an executed block, from `Trace 0: 0x7fd468000100 [00800400/000000f0/00000110/ff000200] Reset`.
fn traced(line: &[u8]) -> Option<u32> {
    let rest = line.strip_prefix(b"Trace ")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let pc = std::str::from_utf8(rest.get(slash + 1..slash + 9)?).ok()?;
    u32::from_str_radix(pc, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
----------------
IN: read_counter
0x00000010:  4770       bx       lr

Trace 0: 0x1 [00800400/00000010/00000110/ff000200] read_counter
----------------
IN: work
0x00000020:  fba0 0102  umull    r0, r1, r0, r2
0x00000024:  6803       ldr      r3, [r0]
0x00000026:  6843       ldr      r3, [r0, #4]
0x00000028:  d1fa       bne      #0x20

Trace 0: 0x2 [00800400/00000020/00000110/ff000200] work
Trace 0: 0x2 [00800400/00000020/00000110/ff000200] work
----------------
IN: work
0x0000002a:  bd10       pop      {r4, pc}

Trace 0: 0x3 [00800400/0000002a/00000110/ff000200] work
Trace 0: 0x1 [00800400/00000010/00000110/ff000200] read_counter
Trace 0: 0x2 [00800400/00000020/00000110/ff000200] work
";

    #[test]
    fn a_step_is_summed_up_between_two_marks() {
        // bx 2-4; twice umull 3-5, ldr 2, ldr 1-2; bne 2-4 and 1; pop 2 + 2 to 4 + 2.
        let m3 = steps(LOG.as_bytes(), 0x10, Target::Thumbv7m).unwrap();
        assert_eq!(m3, [[2 + 2 * (3 + 2 + 1) + 2 + 1 + 4, 4 + 2 * (5 + 2 + 2) + 4 + 1 + 6]]);
        let m0 = steps(LOG.as_bytes(), 0x10, Target::Thumbv6m).unwrap();
        assert_eq!(m0, [[2 + 2 * (1 + 2 + 2) + 2 + 1 + 5; 2]]);
    }

    #[test]
    fn what_is_no_instruction_is_not_counted() {
        assert_eq!(disassembled("0x00000010:  \n"), None);
        assert_eq!(disassembled("0x7f: zz"), None);
        assert_eq!(traced(b"Trace 0: nothing"), None);
        assert_eq!(disassembled("0x00000100:  e7fb       b        #0xfa\n").unwrap().1, 0x102);
    }
}
