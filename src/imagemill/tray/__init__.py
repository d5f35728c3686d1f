"""The desk: an icon with a menu, in a process of its own. It knows the appliance by its HTTP API and its data folder.

Reading order: view (what is known of the appliance), menu and face (what is shown of it, as data), desk (what a click
does), neighbour (the appliance beside it: found, started, stopped), surfaces (what can show a face here). A surface is
a StatusNotifierItem over D-Bus (item, menu_tree and bus) or pystray (plain). Refused: work. If this process dies,
nothing is lost but the icon.
"""
