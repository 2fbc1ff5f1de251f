// In place of generated models, where there are none.
crate::each_model! {}
