//! What a running process is told: to go down, or to be followed by another.

use std::io;
use std::process;
use std::thread;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::handover::{self, Ask, Predecessor, Program};
use crate::notify;
use crate::run::Running;
use crate::run::ending::{Followed, Hurry};

/// The life of this process, after its start.
#[derive(Debug)]
pub(super) struct Life {
    runtime: Runtime,
    signals: Signals,
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
    hangup: Signal,
}

/// What comes to a process.
enum Told {
    /// By this signal.
    GoDown(&'static str),
    BeFollowed(Option<Ask>),
    Reload,
}

/// How a process ends.
enum End {
    GoDown(&'static str),
    Followed(Followed),
}

impl Life {
    /// For the start of a process: a signal waits from here on until it is heard.
    pub(super) fn new() -> Result<Life, String> {
        let cannot = |error: io::Error| format!("cannot wait for signals: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new().map_err(cannot)?
        };
        Ok(Life { runtime, signals })
    }

    /// To its end. The process that it follows, if any, is told all it is to hear.
    pub(super) fn live(
        self,
        mut running: Running,
        predecessor: Option<Predecessor>,
        program: &Program,
    ) -> Result<(), String> {
        let Life { runtime, mut signals } = self;
        let end = runtime.block_on(async {
            running.follow(predecessor).await;
            until_the_end(&mut signals, &running, program).await
        });
        match end {
            End::GoDown(signal) => {
                tracing::info!(signal, "going down: finishing what is in flight");
                notify::stopping();
                finish(&runtime, signals, None, || running.stop());
            }
            End::Followed(followed) => {
                let by = followed.by.process;
                tracing::warn!(process = by, "another process takes requests now: finishing what is here");
                notify::followed_by(by);
                let (hurry, (successor, way)) = (running.hurry(), followed.split());
                running.control.in_the_office(handover::serve_successor(successor, &running.control));
                finish(&runtime, signals, Some(hurry), || running.make_way(way));
            }
        }
        tracing::info!(process = process::id(), "down");
        Ok(())
    }
}

/// Do the last thing there is to do. A signal makes it `hurry`, if it can; one more ends the process at once.
fn finish(runtime: &Runtime, mut signals: Signals, mut hurry: Option<Hurry>, work: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let (done, mut is_done) = oneshot::channel();
        scope.spawn(move || {
            work();
            let _ = done.send(());
        });
        runtime.block_on(async {
            loop {
                let signal = tokio::select! {
                    _ = &mut is_done => return,
                    signal = signals.end() => signal,
                };
                let Some(hurry) = hurry.take() else {
                    tracing::warn!(signal, "told a second time: ending at once");
                    process::exit(1);
                };
                tracing::info!(signal, "told to end soon");
                hurry.shut_down();
            }
        });
    });
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::GoDown("SIGTERM"),
            _ = self.interrupt.recv() => Told::GoDown("SIGINT"),
            _ = self.upgrade.recv() => Told::BeFollowed(None),
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

async fn until_the_end(signals: &mut Signals, running: &Running, program: &Program) -> End {
    let mut bell = running.control.handover.bell();
    loop {
        let told = tokio::select! {
            told = signals.next() => told,
            ask = rung(&mut bell) => Told::BeFollowed(Some(ask)),
        };
        let ask = match told {
            Told::GoDown(signal) => return End::GoDown(signal),
            Told::BeFollowed(ask) => ask,
            Told::Reload => {
                running.control.ask_to_reload("SIGHUP");
                continue;
            }
        };
        log_asked(ask.as_ref());
        if let Err(why) = may_be_followed(running).await {
            not_followed(running, ask, why);
            continue;
        }
        let followed = tokio::select! {
            followed = running.be_followed(program) => followed,
            signal = end_while_busy(signals, running, &mut bell) => return End::GoDown(signal),
        };
        match followed {
            Ok(followed) => {
                answer(ask, Ok(followed.by.process));
                return End::Followed(followed);
            }
            Err(why) => not_followed(running, ask, why),
        }
    }
}

/// There is one upgrade at a time: who asks meanwhile hears so. Comes back when the process is to go down.
async fn end_while_busy(
    signals: &mut Signals,
    running: &Running,
    bell: &mut Option<mpsc::Receiver<Ask>>,
) -> &'static str {
    loop {
        let ask = tokio::select! {
            told = signals.next() => match told {
                Told::GoDown(signal) => return signal,
                Told::BeFollowed(ask) => ask,
                // Which of the two goes on is not known yet.
                Told::Reload => {
                    running.control.ask_to_reload("SIGHUP");
                    continue;
                }
            },
            ask = rung(bell) => Some(ask),
        };
        tracing::warn!("an upgrade is under way already: not beginning another");
        answer(ask, Err("an upgrade is under way already: wait until it is done (`sluss status`)".into()));
    }
}

/// The next who asks for an upgrade over the admin address.
async fn rung(bell: &mut Option<mpsc::Receiver<Ask>>) -> Ask {
    let heard = match bell {
        Some(bell) => bell.recv().await,
        None => None,
    };
    match heard {
        Some(ask) => ask,
        None => std::future::pending().await,
    }
}

async fn may_be_followed(running: &Running) -> Result<(), String> {
    if process::id() == 1 {
        return Err("this is process 1 of its container, which ends with it: start another container instead".into());
    }
    if running.control.handover.is_following() {
        return Err(
            "the process before this one still finishes what it had ([upgrade] drain): wait for it, or end it sooner \
             with SIGTERM"
                .into(),
        );
    }
    Ok(())
}

fn log_asked(ask: Option<&Ask>) {
    match ask {
        Some(Ask { who, reason, .. }) => tracing::warn!(who, reason, "order: upgrade"),
        None => tracing::warn!(signal = "SIGUSR2", "order: upgrade"),
    }
}

fn not_followed(running: &Running, ask: Option<Ask>, why: String) {
    let text = format!("not upgraded, and going on as before: {why}");
    tracing::error!("ALARM: {text}");
    running.control.not_upgraded(text.clone());
    answer(ask, Err(text));
}

fn answer(ask: Option<Ask>, what: Result<u32, String>) {
    if let Some(ask) = ask {
        // Who has hung up finds it in the log.
        let _ = ask.answer.send(what);
    }
}
