//! `deaddrop send-msg` and `deaddrop send-file`: hold a drop until it is fetched or its time is up.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use deaddrop_core::discovery::Announcer;
use deaddrop_core::drops::Terms;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::{LINGER, LINGER_INTERRUPTED, WARN_WINDOW};
use deaddrop_core::offer::Reason;
use deaddrop_core::time::Instant;
use smol::{Async, LocalExecutor, Timer, future};
use zeroize::Zeroizing;

use super::{derive, open_beacons, warn_weak};
use crate::cli::NetArgs;
use crate::exit::{Exit, Failure};
use crate::files::source::Source;
use crate::net::beacons::Beacons;
use crate::net::hearing::Hearing;
use crate::net::link::SmolLink;
use crate::net::listen::listen;
use crate::pump::serve_connection;
use crate::serve::{Server, ServingEvent};
use crate::stop::Stop;
use crate::ui::{Event, Serving, Ui};
use crate::{clock, random::system};

/// Sources of solicits that are remembered, so that none is answered too often.
const ANSWERED: usize = 256;
/// How often to look whether the machine's interfaces have changed.
const REFRESH: std::time::Duration = std::time::Duration::from_secs(2);

/// What to offer.
pub(crate) struct Job {
    /// The drop as it is offered.
    pub(crate) terms: Terms,
    /// Its bytes.
    pub(crate) source: Source,
    /// Where they come from, if it is a file.
    pub(crate) path: Option<PathBuf>,
    /// The TCP port to serve on, if it has to be that one.
    pub(crate) tcp_port: Option<u16>,
    /// What all commands share.
    pub(crate) net: NetArgs,
    /// The room.
    pub(crate) passphrase: Zeroizing<String>,
}

/// Holds the drop.
pub(crate) async fn send(
    executor: &LocalExecutor<'static>,
    ui: &Ui,
    stop: &Stop,
    job: Job,
) -> Result<(), Failure> {
    warn_weak(ui, &job.passphrase)?;
    let deriving = executor.spawn(derive(job.passphrase));
    let listener = listen(job.tcp_port).map_err(|e| no_port(job.tcp_port, &e))?;
    let port = listener.local_addr().map_err(|e| no_port(job.tcp_port, &e))?.port();
    let beacons = open_beacons(ui, &job.net)?;
    let room = future::or(deriving, async { Err(stop.wait().await) }).await?;
    let server = Arc::new(Server::new(&room));
    drop(room);

    let terms = job.terms.clone();
    let token = server.put(job.terms, job.source).map_err(|e| Failure::usage(e.to_string()))?;
    // Where interfaces were chosen, connections by way of others are none of ours.
    let only = (!job.net.interfaces.is_empty()).then(|| beacons.addresses());
    let accepting = accept(executor, listener, server.clone(), only)
        .map_err(|e| Failure::failed(format!("cannot accept connections on TCP port {port}: {e}")))?;
    let mut sending = Sending::new(executor, server.clone(), beacons, port)
        .map_err(|e| Failure::failed(format!("cannot listen for beacons: {e}")))?;
    // The first announcement goes out before the event, so that `ready` means that others know.
    sending.speak();
    ui.show(&Event::Ready {
        addresses: &sending.beacons.addresses(),
        serving: Some(Serving {
            port,
            token,
            kind: terms.kind,
            name: &terms.name,
            size: terms.size,
            ttl: terms.ttl,
        }),
    })?;

    let end = sending.hold(ui, stop, &terms).await;
    match &end {
        // Those who come late are told what became of the drop; a signal cuts this short.
        Ok(()) => sending.linger_unless(stop, LINGER).await,
        Err(failure) if failure.exit == Exit::Expired => sending.linger_unless(stop, LINGER).await,
        Err(_) => {
            server.withdraw_all();
            sending.linger(LINGER_INTERRUPTED).await;
        }
    }
    server.stop();
    drop(accepting);
    end.map_err(|failure| match (&job.path, failure.code) {
        (Some(path), "changed") => Failure::changed(path),
        _ => failure,
    })
}

fn no_port(port: Option<u16>, e: &io::Error) -> Failure {
    Failure::failed(match port {
        Some(port) => format!("cannot serve on TCP port {port}: {e}; choose another with --tcp-port"),
        None => format!("cannot serve on any TCP port from 48556 to 48571: {e}; choose one with --tcp-port"),
    })
}

/// Accepts connections, each served by a task of its own, until the task is dropped.
fn accept(
    executor: &LocalExecutor<'static>,
    listener: TcpListener,
    server: Arc<Server>,
    only: Option<Vec<IpAddr>>,
) -> io::Result<smol::Task<()>> {
    let listener = async_net::TcpListener::from(Async::new(listener)?);
    let connections = Rc::new(LocalExecutor::new());
    let accepting = {
        let connections = connections.clone();
        async move {
            loop {
                match listener.accept().await {
                    Ok((stream, from)) => {
                        let by = stream.local_addr().map(|address| address.ip());
                        if !only.as_ref().is_none_or(|only| by.is_ok_and(|by| only.contains(&by))) {
                            continue;
                        }
                        let server = server.clone();
                        // Small messages go back and forth: none of them should wait for another.
                        let _ = stream.set_nodelay(true);
                        let link = SmolLink::accepted(stream, server.bell.clone());
                        let serving = async move { serve_connection(&server, link, from.ip()).await };
                        connections.spawn(serving).detach();
                    }
                    // Out of file descriptors, most likely: some come back when connections end.
                    Err(_) => {
                        Timer::after(std::time::Duration::from_millis(50)).await;
                    }
                }
            }
        }
    };
    Ok(executor.spawn(async move { connections.run(accepting).await }))
}

/// A drop being offered.
struct Sending<'e> {
    executor: &'e LocalExecutor<'static>,
    server: Arc<Server>,
    beacons: Beacons,
    hearing: Hearing,
    announcer: Box<Announcer<ANSWERED>>,
    port: u16,
    refresh_at: Instant,
    end: Option<Result<(), Failure>>,
}

impl<'e> Sending<'e> {
    fn new(
        executor: &'e LocalExecutor<'static>,
        server: Arc<Server>,
        beacons: Beacons,
        port: u16,
    ) -> io::Result<Self> {
        let mut hearing = Hearing::new();
        hearing.listen(executor, &beacons)?;
        let announcer = Box::new(Announcer::new(server.instance()));
        let refresh_at = clock::now() + REFRESH;
        Ok(Self { executor, server, beacons, hearing, announcer, port, refresh_at, end: None })
    }

    /// Holds the drop until it ends, or until a signal or a fault of ours ends it.
    async fn hold(&mut self, ui: &Ui, stop: &Stop, terms: &Terms) -> Result<(), Failure> {
        loop {
            while let Some(event) = self.server.next_event() {
                self.show(ui, terms, &event)?;
            }
            if let Some(end) = self.end.take() {
                return end;
            }
            if let Some(failure) = stop.asked() {
                return Err(failure);
            }
            let stopped = async {
                stop.wait().await;
            };
            future::or(self.step(), stopped).await;
        }
    }

    /// Says what is due to be said; gives the next such moment.
    fn speak(&mut self) -> Option<Instant> {
        let tick = self.server.tick();
        let now = clock::now();
        self.announcer.set(now, self.server.live().map(|revision| (self.port, revision)), &mut system());
        while let Some(beacon) = self.announcer.poll_transmit(now, &mut system()) {
            self.beacons.broadcast(&beacon);
        }
        Instant::earliest(tick, self.announcer.poll_timeout())
    }

    /// Does what is due, then waits for one thing to happen.
    async fn step(&mut self) {
        let rung = self.server.bell.listen();
        let due = self.speak();
        let now = clock::now();
        if self.refresh_at <= now {
            self.refresh_at = now + REFRESH;
            if let Ok((true, _)) = self.beacons.refresh() {
                let _ = self.hearing.listen(self.executor, &self.beacons);
                self.announcer.reannounce(now);
            }
        }
        let due = Instant::earliest(due, Some(self.refresh_at));
        let beacon = async { Some(self.hearing.next().await) };
        let time = async {
            match due {
                Some(at) => Timer::after(now.until(at)).await,
                None => std::future::pending().await,
            };
            None
        };
        let rung = async {
            rung.await;
            None
        };
        if let Some((arrival, beacon)) = future::or(beacon, future::or(time, rung)).await
            && arrival.attached
            && let Some(answer) = self.announcer.handle_beacon(clock::now(), arrival.from, &beacon)
        {
            self.beacons.answer(&answer, arrival.from);
        }
    }

    /// Goes on answering for a while.
    async fn linger(&mut self, span: std::time::Duration) {
        let until = clock::now() + span;
        while clock::now() < until {
            let late = async {
                Timer::after(clock::now().until(until)).await;
            };
            future::or(self.step(), late).await;
        }
    }

    async fn linger_unless(&mut self, stop: &Stop, span: std::time::Duration) {
        let stopped = async {
            stop.wait().await;
        };
        future::or(self.linger(span), stopped).await;
    }

    fn show(&mut self, ui: &Ui, terms: &Terms, event: &ServingEvent) -> Result<(), Failure> {
        match event {
            ServingEvent::Fetched { token, by } => {
                ui.show(&Event::Fetched { token: *token, by: *by, size: terms.size })
            }
            ServingEvent::Ended { token, reason, unconfirmed, changed } => {
                if *unconfirmed {
                    ui.show(&Event::Warning {
                        code: "unconfirmed",
                        message: "a receiver was given the whole drop and never confirmed it: it may have it",
                    })?;
                }
                self.end = Some(match reason {
                    Reason::Fetched => Ok(()),
                    Reason::Expired => {
                        ui.show(&Event::Expired { token: *token })?;
                        Err(Failure::expired(
                            "the drop expired before it was fetched: send it again with a longer --ttl",
                        ))
                    }
                    _ if *changed => Err(Failure::new(
                        Exit::Failed,
                        "changed",
                        "the drop's source changed, so it was withdrawn",
                    )),
                    _ => Ok(()),
                });
                Ok(())
            }
            ServingEvent::Warning(Warning::Guessing { source, failures }) => {
                let whose = match source {
                    Some(source) => format!("from {source}"),
                    None => "in all".into(),
                };
                let message = format!(
                    "{failures} handshakes with another passphrase {whose} within {} s: a neighbour's room, or \
                     somebody guesses",
                    WARN_WINDOW.as_secs()
                );
                ui.show(&Event::Warning { code: "guessing", message: &message })
            }
            ServingEvent::Warning(_) => Ok(()),
        }
    }
}
