"""The wing that makes the bundles: data, networks, objectives, one loop, export. Needs the train packages."""
