//! Gauges that are read off when somebody looks, rather than kept up on the way of a request.

use std::fs;

use super::control::Control;
use super::status::EventStatus;
use crate::admission::resource::Source;
use crate::admission::{Class, State};
use crate::proxy::backend::Presence;
use crate::proxy::settings::Limited;
use crate::telemetry::names;

impl Control {
    /// `/metrics`: sample the gauges and render everything.
    pub fn metrics(&self) -> String {
        self.sample_domains();
        self.sample_schedule();
        let set = |metric, value: f64| self.registry.gauge(metric, &[]).set(value);
        set(names::CONNECTIONS, self.shared().connections() as f64);
        set(names::CONNECTIONS_MOST, f64::from(self.shared().settings.listen.connections.get()));
        set(names::MEMORY, self.shared().memory_held() as f64);
        set(names::MEMORY_MOST, self.shared().settings.listen.memory as f64);
        let (bytes, most) = self.shared().answers_held();
        set(names::CACHE, bytes as f64);
        set(names::CACHE_MOST, most as f64);
        self.registry.gauge(names::BUILD, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        set(names::START_TIME, self.started.as_second() as f64);
        self.sample_backends();
        if let Some(process) = Process::look() {
            set(names::RESIDENT, process.resident_bytes);
            set(names::OPEN_FDS, process.open_fds);
            set(names::MAX_FDS, process.max_fds);
            self.registry.counter(names::CPU_SECONDS, &[]).absolute(process.cpu_seconds);
        }
        self.registry.render()
    }

    fn sample_backends(&self) {
        for standing in &self.shared().standings {
            let panic = self.registry.gauge(names::UPSTREAM_PANIC, &[standing.pool()]);
            panic.set(f64::from(u8::from(standing.is_pardoning())));
            let failover = self.registry.gauge(names::UPSTREAM_FAILOVER, &[standing.pool()]);
            failover.set(f64::from(standing.failover()));
            for name in standing.departed().iter() {
                for metric in [
                    names::UPSTREAM_OUTSTANDING,
                    names::UPSTREAM_ASIDE,
                    names::UPSTREAM_WEIGHT,
                    names::UPSTREAM_PRIORITY,
                ] {
                    self.registry.gauge(metric, &[name]).set(0.0);
                }
                for state in Presence::ALL {
                    self.registry.gauge(names::UPSTREAM_STATE, &[name, state.name()]).set(0.0);
                }
            }
            for backend in standing.backends().iter() {
                let (name, presence) = (backend.settings.name.as_str(), standing.presence(backend));
                let set = |metric, value| self.registry.gauge(metric, &[name]).set(value);
                set(names::UPSTREAM_OUTSTANDING, f64::from(backend.outstanding()));
                set(names::UPSTREAM_ASIDE, f64::from(u8::from(!presence.is_there())));
                set(names::UPSTREAM_WEIGHT, f64::from(backend.weight()));
                set(names::UPSTREAM_PRIORITY, f64::from(backend.priority()));
                for state in Presence::ALL {
                    let gauge = self.registry.gauge(names::UPSTREAM_STATE, &[name, state.name()]);
                    gauge.set(f64::from(u8::from(state == presence)));
                }
            }
        }
    }

    fn sample_domains(&self) {
        let shared = self.shared();
        let settings = &shared.settings;
        let (mut bypass, mut observe_only) = (false, false);
        for (gate, names) in shared.gates.iter().zip(&settings.domains) {
            gate.with(|domain, _| {
                bypass |= domain.is_bypassed();
                observe_only |= domain.is_observe_only();
                let named = domain.resources().iter().zip(&names.resources);
                for (resource, Limited { name, .. }) in named {
                    let kind = if resource.is_budget() { "budget" } else { "pool" };
                    let set = |metric, seats| self.registry.gauge(metric, &[name, kind]).set(f64::from(seats));
                    set(names::LIMIT, resource.limit());
                    set(names::IN_USE, resource.in_use());
                    for source in Source::ALL {
                        let gauge = self.registry.gauge(names::LIMIT_SOURCE, &[name, kind, source.name()]);
                        gauge.set(f64::from(u8::from(source == resource.source())));
                    }
                }
            });
        }
        for (metric, on) in [(names::BYPASS, bypass), (names::OBSERVE_ONLY, observe_only)] {
            self.registry.gauge(metric, &[]).set(f64::from(u8::from(on)));
        }
        for index in 0..settings.products.len() {
            self.sample_product(index);
        }
    }

    fn sample_schedule(&self) {
        let (now, events) = (self.wall.now(), self.events());
        for product in &self.shared().settings.products {
            let open =
                |event: &&EventStatus| event.product == product.name && event.state == "open" && event.stop > now;
            // The next to stop comes first.
            let next = events.iter().find(open).map_or(f64::NAN, |event| event.stop.duration_since(now).as_secs_f64());
            self.registry.gauge(names::NEXT_STOP, &[&product.name]).set(next);
        }
    }

    fn sample_product(&self, index: usize) {
        let shared = self.shared();
        let name = shared.settings.products[index].name.as_str();
        let (gate, id) = self.product(index);
        gate.with(|domain, _| {
            let product = domain.product(id);
            let set = |metric, labels: &[&str], value: f64| self.registry.gauge(metric, labels).set(value);
            set(names::IN_FLIGHT, &[name], f64::from(product.in_flight()));
            set(names::RESERVE_IN_USE, &[name], f64::from(product.reserve_in_use()));
            set(names::PASSES, &[name], f64::from(product.passes()));
            set(names::PROMISED_TURNS, &[name], f64::from(product.promised_turns()));
            set(names::RAMP, &[name], product.ramp_seats().map_or(f64::NAN, f64::from));
            for (at, state) in State::NAMES.into_iter().enumerate() {
                set(names::STATE, &[name, state], f64::from(u8::from(at == product.state().index())));
            }
            self.sample_shares(&shared.settings.products[index], domain);
            for class in Class::ALL {
                set(names::QUEUE_LENGTH, &[name, class.name()], f64::from(product.waiting(class)));
            }
        });
    }
}

/// What the system says about this process; nothing where there is no `/proc`.
struct Process {
    resident_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    cpu_seconds: u64,
}

impl Process {
    fn look() -> Option<Process> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The command's name is in brackets and may hold anything; fields are counted from behind it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |at: usize| fields.get(at - 3).and_then(|text| text.parse::<u64>().ok());
        // Linux counts processor time in hundredths for every program, whatever the kernel's own tick.
        let cpu_seconds = (field(14)? + field(15)?) / 100;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
        let (soft, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).ok()?;
        Some(Process {
            resident_bytes: kib * 1024.0,
            open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as f64,
            max_fds: soft as f64,
            cpu_seconds,
        })
    }
}
