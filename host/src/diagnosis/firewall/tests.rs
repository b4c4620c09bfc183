use super::*;

fn interface(address: &str, prefix: u8) -> Interface {
    Interface::for_tests("eth0", 7, &[(address, prefix)])
}

/// What these rules of the chain `input` with the policy drop keep out of eth0.
fn kept_out(rules: &str) -> Vec<Traffic> {
    let text = format!(
        "table inet filter {{\n\tset ports {{\n\t\ttype inet_service\n\t\telements = {{ 22, 80,\n\t\t\t     443 }}\n\t}}\n\n\
         \tchain input {{\n\t\ttype filter hook input priority 0; policy drop;\n{rules}\n\t}}\n\n\
         \tchain lan {{\n\t\tudp dport 48555 accept\n\t\treturn\n\t}}\n\n\
         \tchain never {{\n\t\tdrop\n\t}}\n}}\n"
    );
    judge(&text, 48_555, &[interface("10.77.0.2", 24)]).0.into_iter().map(|closed| closed.traffic).collect()
}

const BEACONS: Traffic = Traffic::Beacons;
const ANSWERS: Traffic = Traffic::Answers;
const CONNECTIONS: Traffic = Traffic::Connections;

#[test]
fn what_a_ruleset_keeps_out_is_found() {
    let all = [BEACONS, ANSWERS, CONNECTIONS];
    let table: &[(&str, &[Traffic])] = &[
        ("", &all),
        ("accept", &[]),
        ("ct state established,related accept\niifname \"lo\" accept", &all),
        ("ct state { established, related } accept", &all),
        ("ct state vmap { established : accept, related : accept, invalid : drop }", &all),
        ("ct state 0x2,0x4 accept", &all),
        ("ct state invalid drop\nct state new accept", &[]),
        ("udp dport 48555 counter packets 3 bytes 84 accept comment \"found\"", &[ANSWERS, CONNECTIONS]),
        ("udp sport 48555 accept", &[BEACONS, CONNECTIONS]),
        ("tcp dport 48556-48571 accept", &[BEACONS, ANSWERS]),
        ("tcp dport { 22, 48556-48571 } accept\nudp dport { 53,\n\t\t\t  48555 } accept", &[ANSWERS]),
        ("meta l4proto udp accept", &[CONNECTIONS]),
        ("meta l4proto 17 accept", &[CONNECTIONS]),
        ("iifname \"eth*\" accept", &[]),
        ("iifname != \"eth0\" accept", &all),
        ("iifname { \"wlan0\", \"eth0\" } tcp dport 48556 accept", &[BEACONS, ANSWERS]),
        ("ip saddr 10.0.0.0/8 accept", &[]),
        ("ip saddr 192.168.0.0/16 accept", &all),
        ("ip saddr 10.77.0.128/25 accept", &all),
        ("ip6 saddr fe80::/10 accept", &all),
        ("jump lan", &[ANSWERS, CONNECTIONS]),
        ("jump never\naccept", &all),
        ("goto lan\naccept", &[ANSWERS, CONNECTIONS]),
        ("meta pkttype { broadcast, multicast } accept", &[ANSWERS, CONNECTIONS]),
        ("fib daddr type local tcp dport 48556 accept", &[BEACONS, ANSWERS]),
        ("log prefix \"[in] \" level 4\nicmp type echo-request accept", &all),
        // What is not understood counts as open.
        ("tcp dport @ports accept", &[BEACONS, ANSWERS]),
        ("limit rate 3/minute accept", &[]),
        ("meta skuid 0 accept", &[]),
        ("xt match \"recent\" accept", &[]),
        ("jump elsewhere", &[]),
    ];
    for (rules, expected) in table {
        assert_eq!(&kept_out(rules), expected, "{rules}");
    }
}

#[test]
fn a_chain_that_only_drops_what_is_named_is_open_otherwise() {
    let rules = |policy: &str, rule: &str| {
        let text = format!(
            "table inet filter {{\n\tchain in {{\n\t\ttype filter hook input priority filter; policy {policy};\n\t\t{rule}\n\t}}\n}}\n"
        );
        let found = judge(&text, 48_555, &[interface("10.77.0.2", 24), interface("fe80::2", 64)]).0;
        found.into_iter().map(|closed| closed.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(rules("accept", ""), [] as [&str; 0]);
    assert_eq!(
        rules("accept", "iifname \"eth0\" tcp dport 48556 counter packets 0 bytes 0 drop"),
        ["connections to TCP port 48556 are kept out of eth0 by table inet filter, chain in"]
    );
    assert_eq!(rules("accept", "ip6 nexthdr 17 udp dport 48555 reject").len(), 1);
    assert_eq!(rules("accept", "udp dport 48555 limit rate over 5/second drop"), [] as [&str; 0]);
    // Of other hooks and families.
    let other = "table inet t {\n\tchain out {\n\t\ttype filter hook output priority 0; policy drop;\n\t}\n}\n\
                 table ip6 t {\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n";
    assert_eq!(judge(other, 48_555, &[interface("10.77.0.2", 24)]).0, []);
    assert_eq!(judge(other, 48_555, &[interface("fe80::2", 64)]).0.len(), 3);
}

#[test]
fn rules_that_decide_and_are_not_understood_are_counted() {
    let of = |rules: &str| {
        let text = format!(
            "table inet t {{\n\tchain in {{\n\t\ttype filter hook input priority 0; policy accept;\n{rules}\n\t}}\n}}\n"
        );
        let (closed, not_understood) = judge(&text, 48_555, &[interface("10.77.0.2", 24)]);
        assert_eq!(closed, []);
        Finding::RulesOpen { not_understood }.to_string()
    };
    let open = "the rules of the firewall let beacons, answers and connections in";
    assert_eq!(of(""), open);
    assert_eq!(of("tcp dport 22 meta skuid 0 drop"), open, "it is not about us");
    let one = "ip daddr 10.77.0.2 tcp dport 48556 drop";
    assert_eq!(of(one), format!("{open}, as far as they are understood: 1 of them is not"));
    let two = format!("{one}\nudp sport 48555 meta skuid 0 drop");
    assert_eq!(of(&two), format!("{open}, as far as they are understood: 2 of them are not"));
}

/// The commands for rules with these names.
fn commands(text: &str) -> Vec<String> {
    let (found, _) = judge(text, 48_555, &[interface("10.77.0.2", 24)]);
    found.into_iter().flat_map(|closed| closed.commands).collect()
}

#[test]
fn the_commands_are_those_of_the_program_that_keeps_the_rules() {
    let base = |family: &str, table: &str, chain: &str, more: &str| {
        format!(
            "table {family} {table} {{\n\tchain {chain} {{\n\t\ttype filter hook input priority 0; policy drop;\n\t}}\n{more}}}\n"
        )
    };
    assert_eq!(
        commands(&base("ip", "filter", "INPUT", "\tchain ufw-user-input {\n\t}\n")),
        [
            "ufw allow 48555/udp",
            "ufw allow proto udp from any port 48555 to any port 32768:60999",
            "ufw allow 48556:48571/tcp"
        ]
    );
    assert_eq!(
        commands(&base("inet", "firewalld", "filter_INPUT", "")),
        [
            "firewall-cmd --add-port=48555/udp",
            "firewall-cmd --add-source-port=48555/udp",
            "firewall-cmd --add-port=48556-48571/tcp"
        ]
    );
    assert_eq!(
        commands(&base("ip", "filter", "INPUT", ""))[0],
        "iptables -I INPUT -p udp --dport 48555 -j ACCEPT"
    );
    assert_eq!(
        commands(&base("inet", "mine", "incoming", ""))[2],
        "nft insert rule inet mine incoming tcp dport 48556-48571 accept"
    );
}

#[test]
fn a_list_that_makes_no_sense_is_open() {
    for text in [
        "",
        "}",
        "{",
        "}}}{{{",
        "chain x {\ndrop\n}",
        "table\ntable inet\nchain",
        "table inet t {\nchain c {\njump c\n",
    ] {
        assert_eq!(judge(text, 48_555, &[interface("10.77.0.2", 24)]).0, []);
    }
    // Chains that call themselves end.
    let circle = "table inet t {\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tjump in\n\t}\n}\n";
    assert_eq!(judge(circle, 48_555, &[interface("10.77.0.2", 24)]).0, []);
}

#[test]
fn the_guide_has_the_commands_for_windows() {
    let guide = include_str!("../../../docs/troubleshooting.md");
    let commands = commands::of_windows(deaddrop_core::limits::UDP_PORT);
    assert_eq!(commands.len(), 2);
    for command in commands {
        assert!(guide.contains(&format!("\n    {command}\n")), "{command} is not in the guide");
    }
}
