"""Where the joules of a torch model go: capture its calls, replay each layer, add up."""
