"""From images to a network without a config: what is picked by rule, how long it takes, and the whole way."""
