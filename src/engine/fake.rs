//! Stand-in until the real fake lands.
use std::time::Duration;

use super::{Engine, EngineResult, Started, TornDown, Versions};
use crate::diagnosis::Diagnosis;
use crate::plan::Plan;

/// Stand-in.
#[derive(Debug, Default)]
pub struct FakeEngine;
impl Engine for FakeEngine {
    fn is_used(&self) -> bool {
        false
    }
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
    fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }
    fn start(&self, _: &Plan) -> EngineResult<Started> {
        Ok(Started::default())
    }
    fn negotiate(&self, _: Duration) -> EngineResult<Versions> {
        Ok(Versions::default())
    }
    fn info(&self, _: Duration) -> EngineResult<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }
    fn load_builtin(&self, _: &Plan) -> EngineResult<String> {
        Ok("builtin".into())
    }
    fn find_image(&self, _: &str, _: Duration) -> EngineResult<Option<serde_json::Value>> {
        Ok(None)
    }
    fn pull(&self, _: &str, _: Duration, _: &dyn Fn(&str)) -> EngineResult<()> {
        Ok(())
    }
    fn run(&self, _: &Plan, _: &super::ContainerSpec, _: Duration) -> super::ContainerRun {
        super::ContainerRun::new()
    }
    fn run_together(&self, _: &Plan, _: &super::Pair, _: Duration) -> super::Together {
        super::Together::default()
    }
    fn tear_down(&self, _: &Plan, _: bool) -> TornDown {
        TornDown::default()
    }
}
