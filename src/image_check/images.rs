//! The image under test: pulled as the request says, and removed where nobody else has it.

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::OuterDaemon;
use super::outer_daemon::REMOVE_TIMEOUT;
use super::request::{ImageRequest, Pull};
use crate::engine::cleanup::objects::remove_pulled;
use crate::engine::dockerd::wait::Watch;
use crate::engine::image::pulled::{Images, Pulled};
use crate::engine::{EngineError, EngineResult};
use crate::facts::reference::Reference;

impl OuterDaemon<'_> {
    /// Pulls the image, as the request says. `pulled`: the pull, where there was no image of that name before. A reference without a tag is the one with `latest`: the API pulls every tag of
    /// a name alone.
    pub(super) async fn provide_image(
        &self,
        image: &Reference,
        request: &ImageRequest,
        pulled: &mut Option<Pulled>,
    ) -> EngineResult<()> {
        let exists = request.pull == Pull::Never || self.has_image(image).await?;
        if exists && request.pull != Pull::Always {
            return Ok(());
        }
        if !exists {
            *pulled = Some(Pulled::before(&self.images(), image).await?);
        }
        let platform = request.platform.clone().unwrap_or_default();
        let options = CreateImageOptionsBuilder::default()
            .from_image(image.name())
            .tag(image.tag_or_digest())
            .platform(&platform)
            .build();
        let mut progress = self.docker.create_image(Some(options), None, None);
        while let Some(piece) = progress.next().await {
            piece.map_err(self.failed("pull the image"))?;
        }
        match pulled {
            Some(pulled) => pulled.finish(&self.images()).await,
            None => Ok(()),
        }
    }

    fn images(&self) -> Images<'_> {
        Images { endpoint: &self.endpoint, version: &self.version }
    }

    /// Removes the image that was pulled; the user's signals do not interrupt it.
    pub(super) async fn remove_pulled(&self, pulled: &Pulled) -> EngineResult<()> {
        let images = self.images();
        let watch = Watch { interrupt: None, daemon: None };
        watch.until("remove the pulled image", REMOVE_TIMEOUT, remove_pulled(&images, pulled)).await.map(drop)
    }

    /// Whether the daemon has the image. Any refusal but that it does not exist is an error.
    async fn has_image(&self, image: &Reference) -> EngineResult<bool> {
        let looked = self.docker.inspect_image(&image.to_string()).await;
        match looked.map_err(self.failed("look for the image")) {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::outer_daemon::SHORT;
    use super::*;
    use crate::engine::image::pulled::tests::{Daemon, all, info};
    use crate::interrupt::Interrupt;

    /// What came of the request for an image at a daemon that answers so to the look for it; and the pulls.
    fn provided(image: &str, status: u16) -> (EngineResult<Option<Pulled>>, Vec<String>) {
        let version = ("GET /version", 200, json!({"ApiVersion": "1.45", "MinAPIVersion": "1.24"}));
        let looked = ("GET /images/", status, json!({"message": "x"}));
        let created = ("POST /images/create", 200, json!({"status": "done"}));
        let daemon = Daemon::new(&[version, all(), looked, info(), created]);
        let request = ImageRequest {
            args: Vec::new(),
            replace_entrypoint: false,
            volumes: Vec::new(),
            network: None,
            cgroupns: None,
            cgroup_parent: None,
            env: Vec::new(),
            platform: None,
            pull: Pull::Missing,
            timeout: SHORT,
            check: Vec::new(),
        };
        let interrupt = Interrupt::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let end = runtime.block_on(async {
            let outer =
                OuterDaemon::connect(daemon.endpoint.clone(), "cafe".into(), &interrupt).await.unwrap();
            let mut pulled = None;
            let end = outer.provide_image(&Reference::parse(image).unwrap(), &request, &mut pulled).await;
            end.map(|()| pulled)
        });
        (end, daemon.asked("POST"))
    }

    #[test]
    fn missing_image_is_pulled_by_one_tag() {
        for (image, query) in
            [("r:5000/x", "fromImage=r%3A5000%2Fx&tag=latest"), ("x:1", "fromImage=x&tag=1")]
        {
            let (end, pulls) = provided(image, 404);
            assert!(
                matches!(end, Ok(Some(_))) && pulls.len() == 1 && pulls[0].contains(query),
                "{image}: {end:?} {pulls:?}"
            );
        }
    }

    #[test]
    fn image_is_not_pulled_where_it_is_there_or_cannot_be_looked_for() {
        assert!(matches!(provided("x", 200), (Ok(None), pulls) if pulls.is_empty()));
        let (end, pulls) = provided("x", 500);
        assert!(matches!(end, Err(EngineError::Refused { status: 500, .. })) && pulls.is_empty());
    }
}
