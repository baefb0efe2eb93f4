"""Energy tests of the studies behind this plugin, and measurements of the plugin itself."""
