"""Where the joules of a torch model go: calls are captured, each layer is replayed and measured."""
