"""Web page that animates portraits in a browser, served by `faceanim app`. It needs the extra `app`.

Imports `synthetic`, for the example video, and `inference` and the packages below it; only `cli` imports it.
"""
