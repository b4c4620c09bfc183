//! `deaddrop send-msg` and `deaddrop send-file`: hold a drop until it is fetched or its time is up.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use deaddrop_core::drops::DropSpec;
use deaddrop_core::guard::Warning;
use deaddrop_core::limits::{LINGER, LINGER_INTERRUPTED, WARN_WINDOW};
use deaddrop_core::offer::EndReason;
use smol::{Async, LocalExecutor, Timer, future};
use zeroize::Zeroizing;

use super::{derive, open_beacons, warn_weak};
use crate::announce::Announcing;
use crate::cli::NetArgs;
use crate::clock;
use crate::descriptors::raise_limit;
use crate::exit::{Exit, Failure};
use crate::files::source::Source;
use crate::net::beacons::Beacons;
use crate::net::hearing::Hearing;
use crate::net::link::SmolLink;
use crate::net::listen::serve_on;
use crate::pump::serve_connection;
use crate::serve::{Server, ServingEvent};
use crate::stop::Stop;
use crate::ui::{Event, Serving, Ui};

/// Addresses of this machine, as they are at the moment.
type Addresses = Rc<RefCell<Vec<IpAddr>>>;

/// What to offer.
pub(crate) struct Job {
    /// The drop as it is offered.
    pub(crate) terms: DropSpec,
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
    raise_limit();
    let deriving = executor.spawn(derive(job.passphrase));
    let (listener, port) = serve_on(job.tcp_port)?;
    let beacons = open_beacons(ui, &job.net)?;
    let room = future::or(deriving, async { Err(stop.wait().await) }).await?;
    let server = Arc::new(Server::new(&room));
    drop(room);

    let terms = job.terms.clone();
    let token = server.put(job.terms, job.source).map_err(|e| Failure::usage(e.to_string()))?;
    // Where interfaces were chosen, connections by way of others are none of ours.
    let only = (!job.net.interfaces.is_empty()).then(|| Rc::new(RefCell::new(beacons.addresses())));
    let accepting = accept(executor, listener, server.clone(), only.clone())
        .map_err(|e| Failure::failed(format!("cannot accept connections on TCP port {port}: {e}")))?;
    let mut sending = Sending::new(executor, server.clone(), beacons, port, only)
        .map_err(|e| Failure::failed(format!("cannot listen for beacons: {e}")))?;
    // The first announcement goes out before the event, so that `ready` means that others know.
    sending.announcing.speak();
    let shown = ui.show(&Event::Ready {
        addresses: &sending.announcing.beacons.addresses(),
        serving: Some(Serving {
            port,
            token,
            kind: terms.kind,
            name: &terms.name,
            size: terms.size,
            ttl: terms.ttl,
        }),
    });
    // From here on others know of the drop, and are told of its end whatever brings it about.
    let end = match shown {
        Ok(()) => sending.hold(ui, stop, &terms).await,
        Err(failure) => Err(failure),
    };
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

/// Accepts connections, each served by a task of its own, until the task is dropped.
fn accept(
    executor: &LocalExecutor<'static>,
    listener: TcpListener,
    server: Arc<Server>,
    only: Option<Addresses>,
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
                        if !only.as_ref().is_none_or(|only| by.is_ok_and(|by| only.borrow().contains(&by))) {
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
    announcing: Announcing,
    hearing: Hearing,
    /// The addresses to take connections at; `None` for all.
    only: Option<Addresses>,
    end: Option<Result<(), Failure>>,
}

impl<'e> Sending<'e> {
    fn new(
        executor: &'e LocalExecutor<'static>,
        server: Arc<Server>,
        beacons: Beacons,
        port: u16,
        only: Option<Addresses>,
    ) -> io::Result<Self> {
        let mut hearing = Hearing::new();
        hearing.listen(executor, &beacons)?;
        let announcing = Announcing::new(server.clone(), beacons, port);
        Ok(Self { executor, server, announcing, hearing, only, end: None })
    }

    /// Holds the drop until it ends, or until a signal or a fault of ours ends it.
    async fn hold(&mut self, ui: &Ui, stop: &Stop, terms: &DropSpec) -> Result<(), Failure> {
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

    /// Does what is due, then waits for one thing to happen.
    async fn step(&mut self) {
        let rung = self.server.bell.listen();
        if self.announcing.refresh() {
            let _ = self.hearing.listen(self.executor, &self.announcing.beacons);
            if let Some(only) = &self.only {
                only.replace(self.announcing.beacons.addresses());
            }
        }
        let due = self.announcing.speak();
        let beacon = async { Some(self.hearing.next().await) };
        let time = async {
            Timer::after(clock::now().until(due)).await;
            None
        };
        let rung = async {
            rung.await;
            None
        };
        if let Some((arrival, beacon)) = future::or(beacon, future::or(time, rung)).await {
            self.announcing.handle_beacon(&arrival, &beacon);
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

    fn show(&mut self, ui: &Ui, terms: &DropSpec, event: &ServingEvent) -> Result<(), Failure> {
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
                    EndReason::Fetched => Ok(()),
                    EndReason::Expired => {
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
