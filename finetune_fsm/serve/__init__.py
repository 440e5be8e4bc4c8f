"""A page on this machine that shows workflows and runs, and lets a person steer them.

::

    markup      HTML in which every text is text
    views       what a page is made of, and what of it has changed since it was last sent
    workspace   the workflows and runs of one folder, by names that cannot lead out of it
    guard       who may ask for anything: this machine, this browser, this page
    picture     the loop as a drawing, the present state marked
    story       a run's journal as the parts of its page
    pages       everything that is shown, in the frame of `frame`
    board       what work under way shows and asks
    desk        the work of this server: `rolling`, `testing` and `tuning`
    orders      what the forms of `forms` ask for, done
    wire        what every request goes through; with `app` it alone knows `starlette`
    app         the addresses
    server      the socket and its life; the only module that knows `uvicorn`

The page holds nothing of its own. Runs are read from their journals, whichever process writes
them, so a page can be loaded again at any time, and a server that is killed leaves what any killed
run leaves: something to resume.

Importing this package imports nothing else.
"""
