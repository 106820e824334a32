//! What do the pages of a request stand in?

use poem::{Request, http::Method};

use crate::{
    auth::{
        access::{Access, Rule},
        caller::{Caller, Credential},
        role::Role,
    },
    html::{Entry, Frame, Viewer},
    instance::News,
};

/// What the frames of all pages are made of.
#[derive(Clone)]
pub(super) struct Frames {
    pub(super) navigation: Vec<Entry>,
    pub(super) news: News,
}

impl Frames {
    /// Returns the frame of a request that has passed the gate, or has not.
    pub(super) fn of(&self, request: &Request, access: &Access) -> Frame {
        let caller = request.extensions().get::<Caller>();
        let may_see = |entry: &&Entry| match access.terms(&Method::GET, entry.address).map(|terms| terms.rule) {
            Some(Rule::Role { least, .. }) => caller.is_some_and(|caller| caller.role() >= least),
            Some(Rule::Public) => true,
            None => false,
        };
        let looks_after = caller.is_some_and(|caller| caller.role() >= Role::Admin);
        Frame {
            path: request.uri().path().to_owned(),
            viewer: caller.map(|caller| Viewer {
                name: caller.user.name.clone(),
                can_sign_out: caller.by != Credential::Tailscale,
            }),
            navigation: self.navigation.iter().filter(may_see).copied().collect(),
            newer: if looks_after { self.news.newer() } else { None },
            notice: if looks_after { self.news.notice() } else { None },
            backups_need_attention: looks_after && self.news.backups_need_attention(),
        }
    }
}
