//! What the user wrote, checked, and made into the rules that the stages define.
