"""The Qt user interface of Lim Notes; the only package that knows Qt."""
