"""Charts as inline SVG: ``svg`` has the marks that charts are made of, ``trend`` the plot of a region's BMD.

No mark has a colour, a line width or a font: they have classes, and the style sheet has the rest. So they hold under a
strict Content-Security-Policy, follow dark mode, and print.
"""
