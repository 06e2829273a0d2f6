//! Where events go: a log stream, and how its group is made if it is not there.

/// A log group's class. A group keeps the class it was made with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GroupClass {
    /// Everything CloudWatch Logs can do.
    #[default]
    Standard,
    /// Half the price, fewer features (no metric filters, no subscriptions).
    InfrequentAccess,
    /// Cheaper than the standard class, with a part of its features.
    Essentials,
}

/// One log stream of one log group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The log group's name.
    pub group: String,
    /// The log stream's name.
    pub stream: String,
    /// Set when the agent makes the group; `None` keeps events for ever.
    pub retention_days: Option<u32>,
    /// The class the agent makes the group with.
    pub class: GroupClass,
}
