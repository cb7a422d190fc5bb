"""The page that animates portraits in a browser: `faceanim app`. It needs the extra `app`."""
