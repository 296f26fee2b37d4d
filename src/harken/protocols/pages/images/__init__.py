"""Images in notes, shown through this server (`HARKEN_IMAGE_PROXY`).

In: the HTML of a note with placeholders of images, or a signed address. Out: the HTML with signed
addresses of this server, or the image. Front door: `shown.ShownImages`; `routes` serves them.
"""
