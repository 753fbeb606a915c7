"""Methods that train language-model students, one record each."""
