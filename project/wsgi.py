import logging
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = get_wsgi_application()
if not settings.REDIS_URL:
    logging.getLogger(__name__).warning("REDIS_URL is not set: no seat locks, the database alone says who gets a seat")
