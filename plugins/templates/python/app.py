"""What componentize-py builds: the plugin, connected to the host.

For requests to other servers (`task.fetch`) change `world` in the file build, and these lines to

    from freefans_requests import fetch
    WitWorld = component(plugin, fetch)
"""

from freefans_component import component

from plugin import plugin

WitWorld = component(plugin)
