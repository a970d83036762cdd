//! What a rule requires of a run beside the right to it.

use std::ops::BitOr;

use super::file::NameError;

/// What a run brings, or must bring so that a rule allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunRequirements {
    /// A reason (`RunCommandRequest.reason`).
    pub reason: bool,
    /// The digest of the plan that the run is to be (`RunCommandRequest.plan_digest`).
    pub plan: bool,
}

impl RunRequirements {
    /// None.
    pub const NONE: RunRequirements = RunRequirements {
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
    pub(super) fn parse(names: &[String]) -> Result<RunRequirements, NameError> {
        let mut required = RunRequirements::NONE;
        for name in names {
            match name.as_str() {
                "reason" => required.reason = true,
                "plan" => required.plan = true,
                other => return Err(NameError::Requirement(other.to_owned())),
            }
        }
        Ok(required)
    }

    /// True for none.
    pub fn is_empty(self) -> bool {
        self == RunRequirements::NONE
    }

    pub(super) fn count(self) -> usize {
        usize::from(self.reason) + usize::from(self.plan)
    }

    /// Those of these that are not among the others.
    pub(super) fn not_among(self, brought: RunRequirements) -> RunRequirements {
        RunRequirements {
            reason: self.reason && !brought.reason,
            plan: self.plan && !brought.plan,
        }
    }
}

impl BitOr for RunRequirements {
    type Output = RunRequirements;

    fn bitor(self, other: RunRequirements) -> RunRequirements {
        RunRequirements {
            reason: self.reason || other.reason,
            plan: self.plan || other.plan,
        }
    }
}
