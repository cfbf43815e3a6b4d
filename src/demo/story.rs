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
use super::show::Show;
use super::yardstick::{Yardstick, measure};
use super::{DemoArgs, Failure, doors};
use crate::sim::Product;
use crate::sim::customers::{Crowd, Steady, burst, steady};

/// Quiet traffic before anything happens.
const QUIET: Duration = Duration::from_secs(4);
/// From the false signal to the person who reopens. On the day it was longer; nobody wants to watch that.
const CLOSED: Duration = Duration::from_secs(6);

/// What one run came to.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) products: [Figures; 3],
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
    sources: Sources,
    show: Rc<Show>,
}

impl<'a> Story<'a> {
    /// A story not yet begun.
    pub(super) fn new(args: &'a DemoArgs, show: Rc<Show>) -> Self {
        Self { args, sources: Sources::find(), show }
    }

    /// What this plant can do.
    pub(super) async fn yardstick(&self) -> Result<Yardstick, Failure> {
        let plant = self.fresh_plant()?;
        let yardstick = measure(&plant, self.sources, self.args.seed, &self.show).await?;
        self.show.say(&format!(
            "Yardstick: {:.1} horse journeys/s with sport and casino as usual ({} at a time did best)",
            yardstick.journeys_per_s, yardstick.concurrency
        ));
        Ok(yardstick)
    }

    /// The reopening with nothing between customers and backends.
    pub(super) async fn without(&self) -> Result<Run, Failure> {
        let plant = self.fresh_plant()?;
        let field = self.quiet(doors(&plant.addresses), &plant, "Without Sluss: a quiet afternoon").await;
        let what = "Without Sluss: reopened, 7,000 come back straight at the backends";
        let window = self.surge(&field, &plant, what).await?;
        self.sum_up(&field, &plant, window, None).await
    }

    /// The false signal, the parked race, the reopening, with the proxy in front.
    pub(super) async fn with(&self, ports: Ports) -> Result<(Run, Standing), Failure> {
        let plant = self.fresh_plant()?;
        if let Some(stand_in) = self.args.against {
            let run = self.behind(stand_in, &plant).await?;
            return Ok((run, Standing { proxy: None, plant }));
        }
        let proxy = Proxy::start(ports, &plant.addresses.backends).await?;
        let what = "With Sluss: a quiet afternoon, the proxy knows nothing of the plant";
        let field = self.quiet([ports.listen; 3], &plant, what).await;
        let closed = self.false_close(&field, &proxy).await?;
        let what = "With Sluss: 16:06 and a few seconds, a person has reopened, 7,000 come back";
        let window = self.surge(&field, &plant, what).await?;
        let closed = Closed::of(&field.records.borrow(), closed);
        let run = self.sum_up(&field, &plant, window, Some(closed)).await?;
        Ok((run, Standing { proxy: Some(proxy), plant }))
    }

    /// The same surge through something else that is already running and has no signals and orders.
    async fn behind(&self, stand_in: SocketAddr, plant: &PlantProcess) -> Result<Run, Failure> {
        let field = self.quiet([stand_in; 3], plant, "With a stand-in: a quiet afternoon").await;
        let window = self.surge(&field, plant, "With a stand-in: reopened, 7,000 come back").await?;
        self.sum_up(&field, plant, window, None).await
    }

    fn fresh_plant(&self) -> Result<PlantProcess, Failure> {
        PlantProcess::build(self.args.seed, self.args.plant_port)
    }

    /// Opens a field and lets the steady base of all products arrive, for as long as any run lasts.
    async fn quiet(&self, doors: Doors, plant: &PlantProcess, what: &str) -> Rc<Field> {
        let field = Field::new(doors, self.sources, self.args.seed);
        let enough = QUIET + CLOSED + self.args.window() + Duration::from_secs(60);
        for product in Product::ALL {
            let base = steady(&Crowd::saturday(self.args.seed), product, enough, Steady::Poisson);
            field.arrive(base, Duration::ZERO);
        }
        self.show.watch(&field, plant.addresses);
        self.show.phase(what, QUIET);
        field.until(QUIET).await;
        field
    }

    async fn false_close(&self, field: &Field, proxy: &Proxy) -> Result<Window, Failure> {
        self.show.phase("With Sluss: 16:06, a false signal closes the race 14 minutes early", CLOSED);
        proxy.false_signal().await?;
        let from = field.now();
        field.until(from + CLOSED).await;
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
        field.arrive(burst(&Crowd::saturday(self.args.seed)), from);
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
        let products = Product::ALL.map(|product| Figures::of(&records, product, window));
        let heard = records.journeys.iter().filter(|journey| journey.fate == Fate::Finished).count() as u64;
        Ok(Run { products, while_closed, heard, plant, peak_connections: field.open.peak(), lag_ms })
    }
}
