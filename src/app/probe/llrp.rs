//! LLRP readers: found, asked, read.

use anyhow::Context as _;
use tokio::sync::watch;

use super::heard::Heard;
use super::subnet::{Subnet, listening};
use super::{How, paste, say};
use crate::rfid::llrp::{self, Config, Facts};

const PORT: u16 = 5084;

pub(super) async fn probe(subnets: &[Subnet], readers: &[String], how: &How) -> anyhow::Result<()> {
    let mut hosts: Vec<(String, u16)> = Vec::new();
    for reader in readers {
        let found = crate::store::source::host_port(reader);
        let (host, port) =
            found.with_context(|| format!("`--reader {reader}`: expected <host>[:<port>]"))?;
        hosts.push((host, port.unwrap_or(PORT)));
    }
    if !subnets.is_empty() {
        let found = listening(subnets, PORT).await;
        say(&format!(
            "LLRP: {} hosts listen on port {PORT}",
            found.len()
        ));
        hosts.extend(found.into_iter().map(|host| (host.to_string(), PORT)));
    }
    for (n, (host, port)) in hosts.iter().enumerate() {
        one(n + 1, host, *port, how).await;
    }
    Ok(())
}

async fn one(n: usize, host: &str, port: u16, how: &How) {
    let facts = match llrp::facts(host, port).await {
        Ok(facts) => facts,
        Err(why) => return say(&format!("reader at {host}:{port}: {why}\n")),
    };
    say(&format!("reader at {host}:{port}: {}", facts.name));
    let connected: Vec<String> = facts.connected.iter().map(u16::to_string).collect();
    let powers = facts.power_cdbm.map_or(String::new(), |(low, high)| {
        format!(
            "; {:.2} to {:.2} dBm",
            f64::from(low) / 100.0,
            f64::from(high) / 100.0
        )
    });
    let connected = connected.join(", ");
    say(&format!(
        "  {} ports, antennas at {connected}{powers}",
        facts.antennas
    ));
    if how.read {
        read(host, port, how).await;
    }
    paste(&lines(n, host, port, &facts));
}

async fn read(host: &str, port: u16, how: &How) {
    let heard = Heard::default();
    let (stop, stopped) = watch::channel(false);
    let config = Config {
        host: host.to_owned(),
        port,
        antennas: std::collections::BTreeMap::new(),
        session: 1,
        rf_mode: None,
        report_every: 1,
        keepalive_s: 5,
    };
    let reading = tokio::spawn(llrp::run(config, heard.outlet(), stopped));
    tokio::time::sleep(how.time).await;
    stop.send_replace(true);
    // It takes leave of the reader.
    reading.await.ok();
    let all = heard.so_far();
    if let Some(trouble) = all.trouble() {
        say(&format!("  {trouble}"));
    }
    say(&format!(
        "  {} reads in {} s",
        all.reads,
        how.time.as_secs()
    ));
    all.tag_lines()
        .iter()
        .for_each(|line| say(&format!("  {line}")));
}

fn lines(n: usize, host: &str, port: u16, facts: &Facts) -> String {
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let address = if port == PORT {
        format!("llrp://{host}")
    } else {
        format!("llrp://{host}:{port}")
    };
    let antennas = facts.connected.iter();
    let antennas: String = antennas
        .map(|port| format!("  {{ port = {port}, shelf = \"…\" }},\n"))
        .collect();
    format!("[[reader]]\nid = \"r{n}\"\nsource = \"{address}\"\nantennas = [\n{antennas}]")
}
