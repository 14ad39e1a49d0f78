import sys

import vmsvc

with vmsvc.Session() as session:
    web: vmsvc.Service = session.load("web")
    before: vmsvc.Status = session.status(web).overall
    plan = session.plan("start", web)
    steps: list[str] = [f"{step.verb} {step.rid}" for step in plan.steps]
    try:
        report = session.run(plan)
    except vmsvc.VmsvcError as error:
        sys.exit(f"{error.code}: {error.hint}")
    after = session.status(web).overall
    session.stop(web)
    evidence = [item.observation.evidence.probe for item in session.status(web).instances[0].resources]
    sys.stdout.write(" ".join([before, *steps, str(len(report.results)), after, *evidence]))
