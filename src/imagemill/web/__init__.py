"""The page: server-rendered, for people who have never heard of an API. Nothing of it comes from elsewhere.

It reads through the same parts as the API and under the same rules; it does not call HTTP on itself. Reading order:
pages (the list), view (what a route works with), site (how it is put together); then a page.
"""

from imagemill.web.site import Site

__all__ = ["Site"]
