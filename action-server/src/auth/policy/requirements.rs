//! What a rule requires of a run beside the right to it.

use std::ops::BitOr;

use action_proto::input::shown_name;

/// What a run brings, or must bring so that a rule allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// A reason (`RunCommandRequest.reason`).
    pub reason: bool,
    /// The digest of the plan that the run is to be (`RunCommandRequest.plan_digest`).
    pub plan: bool,
}

impl Requirements {
    /// None.
    pub const NONE: Requirements = Requirements {
        reason: false,
        plan: false,
    };

    /// Their names in a policy, in answers and as options of the client.
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.reason, "reason"), (self.plan, "plan")];
        all.into_iter()
            .filter_map(|(is_required, name)| is_required.then_some(name))
            .collect()
    }

    /// Reads their names.
    ///
    /// # Errors
    /// A name that is not known.
    pub(super) fn parse(names: &[String]) -> Result<Requirements, String> {
        let mut required = Requirements::NONE;
        for name in names {
            match name.as_str() {
                "reason" => required.reason = true,
                "plan" => required.plan = true,
                other => {
                    return Err(format!(
                        "a rule cannot require {:?}; it can require reason and plan",
                        shown_name(other)
                    ));
                }
            }
        }
        Ok(required)
    }

    /// True for none.
    pub fn is_empty(self) -> bool {
        self == Requirements::NONE
    }

    pub(super) fn count(self) -> usize {
        usize::from(self.reason) + usize::from(self.plan)
    }

    /// Those of these that are not among the others.
    pub(super) fn without(self, brought: Requirements) -> Requirements {
        Requirements {
            reason: self.reason && !brought.reason,
            plan: self.plan && !brought.plan,
        }
    }
}

impl BitOr for Requirements {
    type Output = Requirements;

    fn bitor(self, other: Requirements) -> Requirements {
        Requirements {
            reason: self.reason || other.reason,
            plan: self.plan || other.plan,
        }
    }
}
