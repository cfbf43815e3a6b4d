//! The Saturday itself: the yardstick, the surge without Sluss, the false signal and the surge with it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::customers::records::Fate;
use super::customers::{Doors, Field, Sources};
use super::figures::{Closed, Figures, Window};
use super::plant::{PlantProcess, Report};
use super::proxy::{Ports, Proxy};
use super::script::Script;
use super::show::Show;
use super::yardstick::{Yardstick, measure};
use super::{DemoArgs, Failure};
use crate::sim::coming::Arrivals;

/// What one run came to.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) products: Vec<Figures>,
    /// What happened between signal and reopening; nothing was closed where nobody could close it.
    pub(super) while_closed: Option<Closed>,
    /// Receipts customers got, all products, from the run's first second to its last.
    pub(super) heard: u64,
    /// What the plant itself counted, from the run's first second to its last.
    pub(super) plant: Report,
    /// The most connections customers had open at a time.
    pub(super) peak_connections: usize,
    /// The latest a customer did anything after it was due.
    pub(super) lag_ms: u64,
}

/// The proxy and its plant, left standing after the run.
pub(super) struct Standing {
    pub(super) proxy: Option<Proxy>,
    pub(super) plant: PlantProcess,
}

/// Everything a run needs to know.
pub(super) struct Story<'a> {
    args: &'a DemoArgs,
    script: Rc<Script>,
    sources: Sources,
    show: Rc<Show>,
}

impl<'a> Story<'a> {
    /// A story not yet begun.
    pub(super) fn new(args: &'a DemoArgs, script: &Rc<Script>, show: Rc<Show>) -> Self {
        Self { args, script: Rc::clone(script), sources: Sources::find(), show }
    }

    /// What this plant can do.
    pub(super) async fn yardstick(&self) -> Result<Yardstick, Failure> {
        let plant = self.fresh_plant()?;
        let yardstick = measure(&plant, &self.script, self.sources, self.args.seed, &self.show).await?;
        self.show.say(&format!(
            "Yardstick: {:.1} horse journeys/s with sport and casino as usual ({} at a time did best)",
            yardstick.journeys_per_s, yardstick.concurrency
        ));
        Ok(yardstick)
    }

    /// The reopening with nothing between customers and backends.
    pub(super) async fn without(&self) -> Result<Run, Failure> {
        let plant = self.fresh_plant()?;
        let field = self.quiet(plant.addresses.backends.clone(), &plant, "Without Sluss: a quiet afternoon").await;
        let what = format!("Without Sluss: reopened, {} come back straight at the backends", self.script.waiting());
        let window = self.surge(&field, &plant, &what).await?;
        self.sum_up(&field, &plant, window, None).await
    }

    /// The false signal, the parked race, the reopening, with the proxy in front.
    pub(super) async fn with(&self, ports: Ports) -> Result<(Run, Standing), Failure> {
        let plant = self.fresh_plant()?;
        if let Some(stand_in) = self.args.against {
            let run = self.behind(stand_in, &plant).await?;
            return Ok((run, Standing { proxy: None, plant }));
        }
        let proxy = Proxy::start(&self.script, ports, &plant.addresses.backends).await?;
        let what = "With Sluss: a quiet afternoon, the proxy knows nothing of the plant";
        let field = self.quiet(self.one_door(ports.listen), &plant, what).await;
        let closed = self.false_close(&field, &proxy).await?;
        let back = self.script.waiting();
        let what = format!("With Sluss: 16:06 and a few seconds, a person has reopened, {back} come back");
        let window = self.surge(&field, &plant, &what).await?;
        let closed = Closed::of(&field.records.borrow(), &self.script, closed);
        let run = self.sum_up(&field, &plant, window, Some(closed)).await?;
        Ok((run, Standing { proxy: Some(proxy), plant }))
    }

    /// The same surge through something else that is already running and has no signals and orders.
    async fn behind(&self, stand_in: SocketAddr, plant: &PlantProcess) -> Result<Run, Failure> {
        let field = self.quiet(self.one_door(stand_in), plant, "With a stand-in: a quiet afternoon").await;
        let what = format!("With a stand-in: reopened, {} come back", self.script.waiting());
        let window = self.surge(&field, plant, &what).await?;
        self.sum_up(&field, plant, window, None).await
    }

    fn fresh_plant(&self) -> Result<PlantProcess, Failure> {
        PlantProcess::build(self.args.seed, self.args.plant_port)
    }

    /// The same for all products.
    fn one_door(&self, door: SocketAddr) -> Doors {
        vec![door; self.script.story.products.len()]
    }

    /// Opens a field and lets those arrive who come whatever happens, for as long as the run lasts.
    async fn quiet(&self, doors: Doors, plant: &PlantProcess, what: &str) -> Rc<Field> {
        let field = Field::new(&self.script, doors, self.sources, self.args.seed);
        self.let_arrive(&field, false, (Duration::ZERO, Duration::ZERO));
        self.show.watch(&field, plant.addresses.control);
        self.show.phase(what, self.script.signal);
        field.until(self.script.signal).await;
        field
    }

    /// The story's time `times.0` is the field's `times.1`.
    fn let_arrive(&self, field: &Rc<Field>, waiting: bool, times: (Duration, Duration)) {
        for (place, crowd) in self.script.crowds(waiting) {
            field.arrive((place, crowd), Arrivals::new(&crowd.coming, place, self.args.seed), times);
        }
    }

    async fn false_close(&self, field: &Field, proxy: &Proxy) -> Result<Window, Failure> {
        let closed = self.script.reopening - self.script.signal;
        let minutes = self.script.closed().stop.saturating_sub(self.script.signal).as_secs() / 60;
        self.show.phase(&format!("With Sluss: 16:06, a false signal closes the race {minutes} minutes early"), closed);
        proxy.false_signal().await?;
        let from = field.now();
        field.until(from + closed).await;
        let to = field.now();
        proxy.reopen().await?;
        Ok(Window { from, to })
    }

    /// Everybody comes back. Returns when the window is over.
    async fn surge(&self, field: &Rc<Field>, plant: &PlantProcess, what: &str) -> Result<Window, Failure> {
        if self.args.cold {
            plant.cool().await?;
        }
        let from = field.now();
        let to = from + self.args.window();
        self.let_arrive(field, true, (self.script.reopening, from));
        self.show.phase(what, self.args.window());
        field.until(to).await;
        Ok(Window { from, to })
    }

    async fn sum_up(
        &self,
        field: &Field,
        plant: &PlantProcess,
        window: Window,
        while_closed: Option<Closed>,
    ) -> Result<Run, Failure> {
        let lag_ms = u64::try_from(field.lag().as_millis()).unwrap_or(u64::MAX);
        field.clear().await;
        let plant = plant.report().await?;
        let records = field.records.borrow();
        let figures = |product| Figures::of(&records, &self.script, product, window);
        let products = self.script.products().map(figures).collect();
        let heard = records.journeys.iter().filter(|journey| journey.fate == Fate::Finished).count() as u64;
        Ok(Run { products, while_closed, heard, plant, peak_connections: field.open.peak(), lag_ms })
    }
}
