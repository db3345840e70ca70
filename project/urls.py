from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from cinema.staff import dashboard
from project.api import api
from project.serving import pages

urlpatterns = [
    path("api/", api.urls),
    path("", RedirectView.as_view(url="/swagger/")),
    path("swagger/", pages.swagger, {"api": api}),
    path("redoc/", pages.redoc, {"api": api}),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/sales/", admin.site.admin_view(dashboard.sales_later), name="staff_sales"),
    path("admin/now/", admin.site.admin_view(dashboard.live_parts), name="staff_now"),
    path("admin/", admin.site.urls),
    path("livez", pages.livez),
    path("readyz", pages.readyz),
    path("metrics", pages.metrics),
]
