//! Instructions as QEMU disassembles them, by what they cost.

/// What an instruction does, as far as its time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Calculates or moves.
    Data,
    /// Multiplies to 32 bits.
    Multiply,
    /// Multiplies to 64 bits.
    MultiplyLong,
    /// The same, and adds.
    AccumulateLong,
    Divide,
    /// Of one register.
    Load,
    Store,
    /// Loads or stores of several registers.
    Several,
    /// To a fixed place, on a condition or not.
    Branch,
    /// `bl`.
    Call,
    /// To where a register points.
    Indirect,
    /// Barriers, and access to special registers.
    Barrier,
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) class: Class,
    /// Of a load or store of several.
    pub(crate) registers: u64,
    /// Writes the program counter, without being a branch.
    pub(crate) to_pc: bool,
}

impl Instruction {
    /// From a mnemonic and its operands.
    pub(crate) fn parse(mnemonic: &str, operands: &str) -> Self {
        let name = mnemonic.split('.').next().unwrap_or_default();
        let begins = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
        let class = if begins(&["umull", "smull"]) {
            Class::MultiplyLong
        } else if begins(&["umlal", "smlal", "umaal"]) {
            Class::AccumulateLong
        } else if begins(&["mul", "mla", "mls"]) {
            Class::Multiply
        } else if begins(&["udiv", "sdiv"]) {
            Class::Divide
        } else if begins(&["ldm", "stm", "push", "pop", "ldrd", "strd", "vldm", "vstm", "vpush", "vpop"]) {
            Class::Several
        } else if begins(&["ldr", "vldr", "tbb", "tbh"]) {
            Class::Load
        } else if begins(&["str", "vstr"]) {
            Class::Store
        } else if begins(&["bx", "blx"]) {
            Class::Indirect
        } else if name == "bl" {
            Class::Call
        } else if name == "b" || begins(&["cb"]) || is_conditional_branch(name) {
            Class::Branch
        } else if begins(&["dmb", "dsb", "isb", "mrs", "msr", "cps", "svc", "bkpt"]) {
            Class::Barrier
        } else {
            Class::Data
        };
        let registers = if class == Class::Several { registers(name, operands) } else { 0 };
        let to_pc = match class {
            Class::Several => operands.contains("pc}"),
            Class::Load => operands.starts_with("pc,") || begins(&["tb"]),
            Class::Data => operands.starts_with("pc,"),
            _ => false,
        };
        Self { class, registers, to_pc }
    }
}

/// `b` with a condition; not `bic`, `bfi` and the like.
fn is_conditional_branch(name: &str) -> bool {
    const CONDITIONS: &str = "eq ne hs cs lo cc mi pl vs vc hi ls ge lt gt le al";
    name.strip_prefix('b').is_some_and(|condition| {
        condition.len() == 2 && CONDITIONS.split(' ').any(|known| known == condition)
    })
}

/// How many registers are listed between braces; two for a double word.
fn registers(name: &str, operands: &str) -> u64 {
    if name.starts_with("ldrd") || name.starts_with("strd") {
        return 2;
    }
    let list =
        operands.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(list, _)| list);
    list.split(',').filter(|register| !register.trim().is_empty()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_told_by_what_they_cost() {
        for (text, class, registers, to_pc) in [
            ("adds r0, r0, r2", Class::Data, 0, false),
            ("add.w r0, r0, r2", Class::Data, 0, false),
            ("mov pc, lr", Class::Data, 0, true),
            ("bic r0, r1", Class::Data, 0, false),
            ("muls r0, r1, r0", Class::Multiply, 0, false),
            ("umull r0, r1, r2, r3", Class::MultiplyLong, 0, false),
            ("umlal r0, r1, r2, r3", Class::AccumulateLong, 0, false),
            ("udiv r0, r1, r2", Class::Divide, 0, false),
            ("ldr r0, [pc, #0x20]", Class::Load, 0, false),
            ("ldr.w pc, [r0]", Class::Load, 0, true),
            ("ldrd r0, r1, [r2]", Class::Several, 2, false),
            ("stm r0!, {r2}", Class::Several, 1, false),
            ("push {r4, r5, lr}", Class::Several, 3, false),
            ("pop.w {r4, r5, pc}", Class::Several, 3, true),
            ("strb r0, [r1]", Class::Store, 0, false),
            ("b #0xfa", Class::Branch, 0, false),
            ("beq #0x102", Class::Branch, 0, false),
            ("blt #0x102", Class::Branch, 0, false),
            ("bls #0x102", Class::Branch, 0, false),
            ("cbz r0, #0x10", Class::Branch, 0, false),
            ("bl #0x1264", Class::Call, 0, false),
            ("bx lr", Class::Indirect, 0, false),
            ("dsb sy", Class::Barrier, 0, false),
        ] {
            let (mnemonic, operands) = text.split_once(' ').unwrap();
            assert_eq!(
                Instruction::parse(mnemonic, operands),
                Instruction { class, registers, to_pc },
                "{text}"
            );
        }
    }
}
